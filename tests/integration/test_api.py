"""The Python API: the example of every function is run, in an empty folder and in the order of a session."""

import doctest
import subprocess
import sys

import pytest

import advsweep

# In one process, in order: they share a folder.
pytestmark = [pytest.mark.timeout(600), pytest.mark.ray, pytest.mark.xdist_group("api")]

#: Each function needs the results of those before it.
ORDER = (
    *(
        "plan",
        "estimate",
        "run",
        "why_new",
        "table",
        "render",
        "figure",
        "load",
        "status",
        "load_model",
        "checkpoints",
        "compact",
        "doctor",
    ),
    *("du", "rm", "gc", "export"),
    *("evaluate", "evaluate_checkpoint", "check", "sync", "search"),
    *("listing", "fields"),
)

#: No other example needs these.
SLOW = {"check", "evaluate_checkpoint"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("door")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in ORDER])
def test_the_example_of(name, folder, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(advsweep, name), name)
    assert found.examples
    lines: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=lines.append)
    assert result.failed == 0, "".join(lines)
    assert capfd.readouterr().out == "", "a function prints nothing"


def test_every_example_is_run():
    examples = {name for name in advsweep.__all__ if ">>>" in (getattr(advsweep, name).__doc__ or "")}
    assert examples == set(ORDER)


@pytest.mark.slow
def test_failures_are_returned_and_raised_on_request(folder, monkeypatch):
    monkeypatch.chdir(folder)
    settings = {"data.examples": 64, "model.width": 4, "training.epochs": 2, "training.lr": 1e9}
    done = advsweep.run("cifs/table-5", profile="demo", seeds=1, settings=settings, storage="diverged")
    assert len(done.failures) == 4
    assert all(reason.startswith("diverged at epoch") for reason in done.failures.values())
    with pytest.raises(advsweep.SweepIncomplete, match=r"4 of 4 trials failed \(Vanilla seed 0: diverged"):
        done.raise_for_failures()


def search(**options):
    return advsweep.search("cifs", advsweep.SearchOptions(**options), profile="demo", storage="results")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: advsweep.plan("cifs/tabel-5"), advsweep.BadInput, "did you mean 'cifs/table-5'"),
        (lambda: advsweep.run("cifs/table-5", settings={"training.lrr": 1}), advsweep.BadInput, "--set training.lrr"),
        (lambda: advsweep.load("nowhere"), advsweep.Unavailable, "--storage 'nowhere': there is nothing yet"),
        (lambda: advsweep.table("cifs/table-1", storage="results"), advsweep.BadInput, "which holds: cifs"),
        (lambda: advsweep.render(advsweep.table("cifs/table-5", storage="results"), "pdf"), advsweep.BadInput, "allowed: text"),
        (lambda: advsweep.load_model("results", "0" * 16), advsweep.BadInput, "there is no such trial"),
        (lambda: advsweep.search("cisf"), advsweep.BadInput, "'cisf': there is no such space"),
        (lambda: advsweep.plan("cifs/table-5", seeds=-1), advsweep.BadInput, "--seeds -1: must be a whole number of 1 or more"),
        (lambda: advsweep.plan("cifs/table-5", seeds=0), advsweep.BadInput, "--seeds 0: must be"),
        (lambda: search(sampler="anneal"), advsweep.BadInput, "sampler = 'anneal': allowed: 'tpe', "),
        (lambda: search(pruner=None), advsweep.BadInput, "pruner = None: allowed: 'none', "),
        (lambda: search(checkpoint="first"), advsweep.BadInput, "checkpoint = 'first': allowed: 'best', 'last'"),
        (lambda: search(trials=0), advsweep.BadInput, "trials = 0: must be a whole number of 1 or more"),
        (lambda: search(finalists="3"), advsweep.BadInput, "finalists = '3': must be a whole number of 0 or more"),
        (lambda: search(sampler_seed=2**40), advsweep.BadInput, "sampler_seed = 1099511627776: .* less than 2"),
        (lambda: search(objectives=()), advsweep.BadInput, "objectives = .*: must name one or more"),
        (lambda: search(factors="beta"), advsweep.BadInput, "factors = 'beta': must be a list of texts"),
        (lambda: search(name="cifs/table-1"), advsweep.BadInput, "the name is taken by 'cifs/table-1' of the catalogue"),
        (lambda: search(name="cifs/table-5"), advsweep.BadInput, "the name is taken by"),
    ],
)
def test_errors(call, error, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(error, match=message):
        call()


def test_a_loaded_network_has_the_recorded_accuracy(folder, monkeypatch):
    monkeypatch.chdir(folder)
    import torch

    from trainables.data import load

    record = advsweep.load("results")
    rows = record.evaluations.query("attack_name == 'natural' and head == 'final'")
    for row in rows.itertuples():
        network, config = advsweep.load_model("results", row.trial, row.checkpoint)
        test = load(config.data, advsweep.Runtime(), torch.device("cpu")).test
        with torch.no_grad():
            right = network(test.images.float() / 255).logits.argmax(1) == test.labels
        assert right.double().mean().item() == pytest.approx(row.accuracy)


def test_importing_the_api_loads_neither_torch_nor_ray():
    program = "import advsweep, sys; print({'torch', 'ray', 'mlflow', 'optuna'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
