"""Attacks on external checkpoints: parsed, and refused, before the file and the data set are read."""

import pytest
import torch

from orchestrator.authoring.attack_text import column
from orchestrator.errors import BadInput, Unavailable
from orchestrator.execution.external_checkpoint import ExternalCheckpoint
from trainables.config import DATASETS, DatasetInfo, Model, NoModule, Runtime
from trainables.config.terms.registry import DATA
from trainables.models import build_model

SETTINGS = {"model.width": 4, "data.examples": 64}
CAS = {"module.name": "cas", "module.positions": ["P1"]}
TRANSFER = "transfer(source=0123456789abcdef, attack=pgd(iterations=2))"


def external(folder, *attacks, eps=0.1, settings=None, dataset="cifar10", **where):
    runtime = Runtime(device="cpu", data_dir=str(folder), **where)
    columns = [column(text) for text in attacks]
    return ExternalCheckpoint(folder / "weights.pt", "resnet10", dataset, columns, eps, SETTINGS | (settings or {}), runtime)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("pdg(iterations=2)", "attack pdg: name = 'pdg': allowed: 'natural'"),
        ("pgd", "attack pgd: iterations: must be set too"),
        ("fgsm(eps=2)", r"eps = 2: must be less than or equal to 1|eps = 2\.0"),
        ("fgsm(colour=red)", "colour = 'red': there is no such field"),
        ("fgsm(beta_atk=inf)", r"--attack 'fgsm\(beta_atk=inf\)': beta_atk = inf: .* no such module \(module.name = none\)"),
    ],
)
def test_an_invalid_attack_is_refused_before_the_file_is_read(tmp_path, attack, words):
    with pytest.raises(BadInput, match=words):
        external(tmp_path, "fgsm", attack)


@pytest.mark.parametrize("eps", [-0.1, 1.5, float("nan")])
def test_an_invalid_eps_is_refused_before_the_file_is_read(tmp_path, eps):
    with pytest.raises(BadInput, match=r"--eps .*: must be in \[0, 1\]"):
        external(tmp_path, "fgsm(eps=0.1)", eps=eps)


@pytest.mark.parametrize("attack", [TRANSFER, "transfer"])
def test_a_transferred_attack_is_refused_with_the_alternative(tmp_path, attack):
    with pytest.raises(BadInput, match=r"--attack 'transfer.*a source trial.*no storage.*advsweep evaluate NAME"):
        external(tmp_path, attack)


def test_an_attack_on_a_missing_module_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"beta_atk = inf-2: the network has no such module \(module.name = cas\)"):
        external(tmp_path, "fgsm(beta_atk=inf-2)", settings=CAS)


def test_valid_attacks_read_the_file_and_then_the_data(tmp_path):
    with pytest.raises(Unavailable, match=r"--checkpoint .* cannot be read"):
        external(tmp_path, "fgsm")
    torch.save(
        build_model(Model(name="resnet-10", width=4), NoModule(), DATASETS["cifar10"], 0).state_dict(), tmp_path / "weights.pt"
    )
    with pytest.raises(Unavailable, match="cifar10"):
        external(tmp_path, "fgsm")


def test_each_attack_is_run_once_and_natural_first(tmp_path):
    network = build_model(Model(name="resnet-10", width=4), NoModule(), DATASETS["digits"], 0)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    found = list(external(tmp_path, "fgsm", "natural", dataset="digits").accuracies())
    assert [accuracy.label for accuracy in found] == ["natural", "fgsm"]
    assert found[1].accuracy <= found[0].accuracy


def test_a_layout_that_the_network_cannot_have_is_refused(tmp_path):
    torch.save(
        build_model(Model(name="resnet-10", width=4), NoModule(), DATASETS["digits"], 0).state_dict(), tmp_path / "weights.pt"
    )
    with pytest.raises(BadInput, match=r"layout = 'channels-last': resnet-10 with model.width = 4"):
        external(tmp_path, "fgsm", dataset="digits", layout="channels-last")


def test_an_attack_that_needs_more_classes_than_there_are_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(DATA.infos, "digits", DatasetInfo(2, 1, 8, 1437, 360))
    with pytest.raises(
        BadInput, match=r"attack.name = 'apgd': needs data of 3 or more classes .* data.dataset = 'digits' has 2"
    ):
        external(tmp_path, "fgsm", "apgd(loss=dlr)", dataset="digits")
