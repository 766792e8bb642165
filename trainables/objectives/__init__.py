"""What the weights minimise, one objective a file; read ``loss`` and ``learner`` first.

An objective is a function ``(spec, model, x, x_adv, y, weights) -> Loss``. It runs the forward passes that it needs itself, in
the model's present mode and with the labels, and applies its terms to every head by its weight. One with weights or optimisers
of its own is a class of :class:`Learner`. Which one a specification means stands in :mod:`trainables.config.objective`.
"""

from torch import Tensor

from trainables import config
from trainables.config.terms.registry import OBJECTIVE
from trainables.joint import training_weights
from trainables.models import Network
from trainables.objectives.learner import Learner
from trainables.objectives.loss import Loss, with_regulariser

__all__ = ["Learner", "Loss", "build_learner", "loss"]


def loss(
    spec: config.Objective,
    module: config.Module,
    model: Network,
    x: Tensor,
    x_adv: Tensor,
    y: Tensor,
    targets: Tensor | None = None,
) -> Loss:
    """The loss of each example of a batch: the objective's on every head, and the inserted module's own.

    Args:
        spec: an objective that is a function, and its settings.
        module: what is inserted in the model.
        model: in training mode; its batch statistics are updated.
        x: natural images (B, channels, size, size) in [0, 1].
        x_adv: adversarial ones; x itself where the trial has no attack.
        y: labels (B,).
        targets: distributions over the classes, (B, classes), that AT learns in their place.
    """
    weights = training_weights(module)
    more = {"targets": targets} if spec.takes_targets else {}
    result: Loss = OBJECTIVE.load(spec.name)(spec, model, x, x_adv, y, weights, **more)
    return with_regulariser(module, result, y)


class _FunctionLearner(Learner):
    """Learns by an objective that is a function."""

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        return loss(self.trial.objective, self.trial.module, self.network, x, x_adv, y, targets)


def build_learner(trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> Learner:
    """What trains ``network``, which is on its device already, from the start."""
    made = OBJECTIVE.load(trial.objective.name)
    learner: type[Learner] = made if isinstance(made, type) else _FunctionLearner
    return learner(trial, network, steps_per_epoch)
