"""A search with Ray and Optuna: killed and resumed, with each of 32 combinations trained once."""

import json
import signal
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tests.support.command_line import TINY, advsweep, assert_once, epochs, evaluations, here, runs, started, table, trials

pytestmark = pytest.mark.timeout(600)

SPACE = """
from search_spaces.papers.cifs import CIFS
from search_spaces.papers.cifs.space import PROFILES
from search_spaces.factor import Level, choice
from search_spaces.profiles import NATURAL, attacked
from search_spaces.study import Study


def factor(name, field, values):
    levels = tuple(Level(f"{name} = {v}", {field: v}) for v in values)
    return choice(name, name, levels, levels[0].label)


STUDY = Study(
    name="own/grid", aliases=(), reference="a test", title="32 combinations",
    factors=(
        factor("beta", "module.beta", (0.5, 1.0, 2.0, 4.0)),
        factor("k", "module.top_k", (1, 2, 3, 4)),
        factor("imgf", "module.imgf.name", ("softmax", "sigmoid")),
    ),
    columns=(NATURAL, *attacked("PGD-20", beta_atk=None)),
    profiles=PROFILES,
    fixed=CIFS,
)
"""

COMBINATIONS, FINALISTS = 32, 2


def command(folder: Path, storage: Path) -> tuple[object, ...]:
    file = folder / "grid.py"
    file.write_text(SPACE)
    how = ("--pruner", "median", "--trials", "100", "--finalists", FINALISTS, "--name", "own/search", "--study-file", file)
    return ("search", "own/grid", *TINY, *how, "--cpus-per-trial", "1", "--storage", storage)


def reported(storage: Path) -> list[optuna.trial.FrozenTrial]:
    journal = JournalStorage(JournalFileBackend(f"{storage}/optuna.journal"))
    return optuna.load_study(storage=journal, study_name="own/search").get_trials()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.alone
def test_a_killed_search_is_resumed_and_trains_every_combination_once(tmp_path):
    storage = tmp_path / "storage"
    with started(*command(tmp_path, storage), folder=tmp_path) as search:
        search.until(lambda: sum(status in ("finished", "early-stopped") for status in trials(storage).values()) > 5)
        search.send(signal.SIGKILL)
        search.wait()
        search.gone()
    killed = {t.number: t for t in reported(storage) if t.state.is_finished()}
    assert len(killed) >= 4
    trained = {key: rows for key, rows in epochs(storage).items() if trials(storage)[key] in ("finished", "early-stopped")}

    done = advsweep(*command(tmp_path, storage))
    assert (done.code, "Traceback" in done.out + done.err) == (0, False), done.err
    # Optuna's history is kept, and no finished epoch is trained again.
    after = {t.number: t for t in reported(storage)}
    assert {number: (t.state, t.values, t.params) for number, t in killed.items()} == {
        number: (after[number].state, after[number].values, after[number].params) for number in killed
    }
    assert {key: epochs(storage)[key] for key in trained} == trained
    assert_once(evaluations(storage))

    # Every combination was tried once, and no more: 100 trials were allowed.
    once = [t for t in after.values() if "repeats" not in t.user_attrs and t.state != TrialState.FAIL]
    assert len(once) == COMBINATIONS == len({json.dumps(t.params, sort_keys=True) for t in once})
    assert {t.user_attrs["trial"] for t in once} == trials(storage).keys()

    # What was reported is in the record: the lowest accuracy on the validation images, or an early stop.
    statuses, found = trials(storage), evaluations(storage)
    assert set(statuses.values()) == {"finished", "early-stopped"}
    for trial in once:
        key = trial.user_attrs["trial"]
        rows = [r for r in found[key] if r["head"] == "final" and json.loads(r["attack_spec"]).get("split")]
        if trial.state == TrialState.PRUNED:
            assert (statuses[key], rows) == ("early-stopped", [])
        else:
            assert len(rows) == 3
            assert trial.value == pytest.approx(100 * min(float(str(r["accuracy"])) for r in rows))

    # The best have a table on the test set; early-stopped trials are in none.
    best = sorted((t for t in once if t.state == TrialState.COMPLETE), key=lambda t: -t.value)[:FINALISTS]
    printed = table(storage, study="own/search")
    assert all(t.user_attrs["cell"] in printed for t in best)
    assert sum(t.user_attrs["cell"] in printed for t in once) == FINALISTS
    status = json.loads(here("status", "--storage", storage, "--json").out)
    assert status["trials"] == {
        "finished": COMBINATIONS - list(statuses.values()).count("early-stopped"),
        "unfinished": 0,
        "early-stopped": list(statuses.values()).count("early-stopped"),
        "failed": 0,
    }
    assert "importance of factors for PGD-20 (PED-ANOVA): " in done.out
    # MLflow shows every trial.
    assert runs(storage) == sorted((key, "FINISHED" if s == "finished" else "KILLED") for key, s in statuses.items())

    # Another search of the same space trains nothing but early-stopped trials: known results are reported to it.
    again = advsweep(*command(tmp_path, storage), "--name", "own/again", "--finalists", 0, "--no-tracking", "--json")
    assert again.code == 0, again.err
    found_again = json.loads(again.out)
    assert {f["trial"] for f in found_again["findings"]} >= {k for k, s in statuses.items() if s == "finished"}


BAD = [
    (("cifs", "--factors", "betta"), "--factors betta: cifs has no such factor; did you mean 'beta'?"),
    (("cisf",), "'cisf': there is no such space; allowed: cas, cifs, "),
    (("cifs/*",), "'cifs/*': must be one study, and is "),
    (
        ("cifs", "--objective", "pgd20", "--objective", "natural", "--pruner", "asha"),
        "--pruner asha: must be none with several",
    ),
    (
        ("cifs", "--objective", "pgd20", "--objective", "natural", "--sampler", "cmaes"),
        "--sampler cmaes: supports one objective",
    ),
    (("cifs", "--set", "data.validation=0", "--set", "selection.split=test"), "data.validation = 0: must be > 0: a search"),
    (("cifs", "--name", "alone"), "name = 'alone': must be two words with a slash"),
    (("cifs", "--constraint", "natural"), "--constraint 'natural': write an accuracy"),
    (("cifs", "--optuna", "mongo://x"), "--optuna 'mongo://x': "),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_refused_before_ray_starts_and_creates_nothing(arguments, message, tmp_path):
    done = here("search", *arguments, "--profile", "demo", "--storage", tmp_path / "storage")
    assert done.code == 2
    assert done.err.startswith(f"advsweep: {message}")
    assert not (tmp_path / "storage").exists()
