"""Both plugins are registered, and keep what their kinds promise."""

import advsweep_corners.plugins as mine
import torch
from trainables.config.registry import ATTACK, MODULE

from trainables import config
from trainables.plugins.preflight import preflight

#: A small network on handwritten digits with the gate.
TRIAL = {
    "data": {"dataset": "digits"},
    "model": {"name": "resnet-10", "width": 4},
    "module": {"name": "gate", "width": 2},
}


def test_they_are_registered() -> None:
    """Each has its name, and the traits that the checklist compares attacks by."""
    assert ATTACK.infos["corners"] is mine.Corners
    assert MODULE.infos["gate"] is mine.Gate
    assert (mine.Corners.sees, mine.Corners.iterates) == (config.Sees.SCORES, True)


def test_they_keep_their_promises() -> None:
    """A batch of noise goes through both: shapes, [0, 1], eps, gradients, and a network that is left as it was."""
    preflight(config.TrialConfig.model_validate(TRIAL, strict=False), [mine.Corners(eps=0.1)])


def test_the_gate_weighs_channels_between_0_and_1() -> None:
    """It keeps the features' shape and makes none of them larger."""
    gate = mine.GateModule(mine.Gate(width=3), index=0, channels=5, classes=10)
    z = torch.rand(2, 5, 4, 4)
    out = gate(z).z
    assert out.shape == z.shape
    assert bool(((out >= 0) & (out <= z)).all())
