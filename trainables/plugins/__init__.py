"""Plugins: what a study file or an installed package adds to the built-in modules, objectives, attacks, models and data.

All that a plugin is written with is importable from here. ``registration`` has the decorators; ``promises`` what plugins are
held to, by ``guard`` whenever an attack runs and by ``preflight``, which runs one batch of noise through a trial's plugins.
Stands on every other folder of this package, and imports torch.
"""

from trainables.attacks import Adversarial, Attacked, Batch, Case
from trainables.config import DatasetInfo, Sees
from trainables.config.attacks.base import AttackSpec, Differentiated, Expected, Linf, Normed, Scored
from trainables.config.measure import MeasureSpec
from trainables.config.module import Predicting, Silent
from trainables.config.objective import Trained
from trainables.config.terms.registry import BadPlugin
from trainables.config.training_attack import Bounded, Joint
from trainables.data import Examples
from trainables.measures import Subject
from trainables.models import Network
from trainables.models.network import Trace, initialise_as_he
from trainables.modules import InsertedModule, Insertion
from trainables.objectives import Learner, Loss
from trainables.plugins.registration import attack, data, measure, model, module, objective, training_attack

__all__ = [
    "Adversarial",
    "AttackSpec",
    "Attacked",
    "BadPlugin",
    "Batch",
    "Bounded",
    "Case",
    "DatasetInfo",
    "Differentiated",
    "Examples",
    "Expected",
    "InsertedModule",
    "Insertion",
    "Joint",
    "Learner",
    "Linf",
    "Loss",
    "MeasureSpec",
    "Network",
    "Normed",
    "Predicting",
    "Scored",
    "Sees",
    "Silent",
    "Subject",
    "Trace",
    "Trained",
    "attack",
    "data",
    "initialise_as_he",
    "measure",
    "model",
    "module",
    "objective",
    "training_attack",
]
