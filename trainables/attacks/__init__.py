"""What the inputs maximise: in evaluations, in :mod:`.evaluation`, and in training, in :mod:`.training`.

The two are apart because they are settled apart: an evaluation's attack has a beta_atk of any kind, restarts and a key of its
own; a training's is a part of its trial and may move a batch together, change labels or depend on the epoch.
"""

from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import Objective
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.watch import NEVER
from trainables.attacks.run import ATTACKS, Source, Sources, run_attack
from trainables.attacks.training.run import TRAINING_ATTACKS, Adversarial, training_attack

__all__ = [
    "ATTACKS",
    "NEVER",
    "TRAINING_ATTACKS",
    "Adversarial",
    "Attacked",
    "Objective",
    "Source",
    "Sources",
    "joint_objective",
    "run_attack",
    "training_attack",
]
