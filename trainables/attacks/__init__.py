"""Attacks: ``run`` runs those of evaluations, ``training.run`` those of trainings.

The two are separate because their settings are. An evaluation's attack has any beta_atk, restarts and a key; a training attack
is part of its trial, and may perturb a batch jointly, change labels or depend on the epoch.

Read ``building_blocks`` first, then ``methods`` (one attack a file), ``training`` and ``composites``. The specifications in
:mod:`trainables.config` name the implementations, which are imported when they are used.
"""

from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import Objective
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.watch import NEVER
from trainables.attacks.case import Case, SourceNetwork, SourceNetworks
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
    "SourceNetwork",
    "SourceNetworks",
    "joint_objective",
    "run_attack",
    "training_attack",
]
