"""Training never reads a value from the device: with fake tensors, every such read is an error."""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from trainables import config
from trainables.attacks import run_attack
from trainables.data import augment
from trainables.joint import attack_weights, training_weights
from trainables.models import build_model
from trainables.objectives.at import at

MODULES = [
    config.NoModule(),
    config.CAS(positions=("block4.1",)),
    *(
        config.CIFS(positions=("block4.1",), probes=("mlp",), imgf=m)
        for m in (config.Sigmoid(), config.Softplus(), config.Softmax())
    ),
    *(config.FSR(positions=("block4.1",), separation=how) for how in ("learned", "greedy", "random", "none")),
    config.KWTA(positions=("block4.1",)),
    config.SAP(positions=("block4.1",)),
]
ATTACKS = [
    config.FGSM(eps=0.1),
    config.PGD(eps=0.1, step=0.03, iterations=2, start="zero"),
    config.CW(eps=0.1, step=0.03, iterations=2, start="zero"),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_a_training_step_never_waits_for_the_device(module, attack):
    with FakeTensorMode():
        network = build_model(config.Model(name="resnet-10", width=4), module, config.DATASETS["digits"], seed=0)
        network.draw_from(torch.Generator())
        x, y = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
        x_adv = run_attack(attack, network, x, y, attack_weights(None, module), torch.Generator()).images
        at(config.AT(), network, x, x_adv, y, training_weights(module)).value.mean().backward()
        with pytest.raises(DataDependentOutputException):
            x.sum().item()


def test_augmentation_never_waits_for_the_device():
    with FakeTensorMode():
        assert augment(torch.zeros(4, 1, 8, 8), 2, True, torch.Generator()).shape == (4, 1, 8, 8)
