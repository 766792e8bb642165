"""What the inputs maximise: in evaluations by ``run``, in training by ``training.run``.

The two are apart because they are settled apart: an evaluation's attack has a beta_atk of any kind, restarts and a key of its
own; a training's is a part of its trial and may move a batch together, change labels or depend on the epoch.

Read ``building_blocks`` first, then ``methods`` (one attack a file), ``training`` and ``composites``. Implementations are named
by their specifications in :mod:`trainables.config` and imported when they are used.
"""

from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import Objective
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.watch import NEVER
from trainables.attacks.case import Case, Source, Sources
from trainables.attacks.run import run_attack
from trainables.attacks.training.batch import Adversarial, Batch
from trainables.attacks.training.run import training_attack

__all__ = [
    "NEVER",
    "Adversarial",
    "Attacked",
    "Batch",
    "Case",
    "Objective",
    "Source",
    "Sources",
    "joint_objective",
    "run_attack",
    "training_attack",
]
