"""Both plugins keep what their kinds promise, and do what they are made for."""

import subprocess
import sys

import advsweep_corners.gate_module
import torch
from advsweep_corners.corners import Corners
from advsweep_corners.gate import Gate

import advsweep.testing
from trainables import config, plugins


class TestCorners(advsweep.testing.AttackContract):
    """Everything that an attack promises."""

    spec = Corners(eps=0.1)

    def draws(self, spec: Corners) -> bool:
        """Say that the corners are random, so that an example's depend on how many examples come before it."""
        return True


class TestGate(advsweep.testing.ModuleContract):
    """Everything that a module promises."""

    spec = Gate(width=4)


def test_corners_say_how_they_attack() -> None:
    """The checklist compares attacks by these traits."""
    assert (Corners.sees, Corners.iterates) == (plugins.Sees.SCORES, True)


def test_the_gate_weighs_channels_between_0_and_1() -> None:
    """It keeps the features' shape and makes none of them larger."""
    gate = advsweep_corners.gate_module.GateModule(Gate(width=3), index=0, channels=5, classes=10)
    z = torch.rand(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    out = gate(z).z
    assert out.shape == z.shape
    assert bool(((out >= 0) & (out <= z)).all())


def test_the_gate_is_known_without_torch() -> None:
    """A trial with it can be planned where torch is not imported."""
    program = (
        "import sys, advsweep_corners.gate; from trainables import config;"
        "config.trial_key(config.TrialConfig(module=advsweep_corners.gate.Gate())); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert config.TrialConfig(module=Gate()).module.positions == ("block4.2",)
