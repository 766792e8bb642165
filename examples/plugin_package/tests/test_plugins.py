"""Both plugins are registered, and keep what their kinds promise."""

import advsweep_corners.plugins as mine
import torch

from trainables import config
from trainables.config.registry import ATTACK, MODULE
from trainables.plugins.preflight import preflight

#: A network on handwritten digits with the gate.
TRIAL = {
    "data": {"dataset": "digits"},
    "model": {"name": "resnet-10", "width": 4},
    "module": {"name": "gate", "width": 2},
    "objective": {"name": "standard"},
    "attack": None,
}


def test_they_are_registered():
    assert ATTACK.infos["corners"] is mine.Corners
    assert MODULE.infos["gate"] is mine.Gate


def test_the_gate_weighs_channels_between_0_and_1():
    gate = mine.GateModule(mine.Gate(width=3), index=0, channels=5, classes=10)
    z = torch.rand(2, 5, 4, 4)
    out = gate(z).z
    assert out.shape == z.shape
    assert bool(((out >= 0) & (out <= z)).all())
