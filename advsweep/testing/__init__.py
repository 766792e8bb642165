"""Contract tests of plugins, for their authors to inherit: what each kind promises, tried on small trained networks.

    import advsweep.testing

    class TestGate(advsweep.testing.ModuleContract):
        spec = Gate(width=2)

pytest finds the inherited tests in every class whose name begins with ``Test``. There is a contract for each kind of plugin;
this repository's own tests hold every built-in to the same ones. Read ``contract`` first, then the kind's file; ``cases`` has
the networks and images. Stands on ``trainables`` alone, and needs pytest: ``pip install 'advsweep[testing]'``.
"""

try:
    import pytest  # noqa: F401  # this package alone of the product needs it
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("advsweep.testing needs pytest: pip install 'advsweep[testing]'", name=error.name) from error

from advsweep.testing.attack import AttackContract
from advsweep.testing.contract import Contract
from advsweep.testing.dataset import DatasetContract
from advsweep.testing.learner import LearnerContract
from advsweep.testing.measure import MeasureContract
from advsweep.testing.model import ModelContract
from advsweep.testing.module import ModuleContract
from advsweep.testing.objective import ObjectiveContract
from advsweep.testing.training_attack import TrainingAttackContract

__all__ = [
    "AttackContract",
    "Contract",
    "DatasetContract",
    "LearnerContract",
    "MeasureContract",
    "ModelContract",
    "ModuleContract",
    "ObjectiveContract",
    "TrainingAttackContract",
]
