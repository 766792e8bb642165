"""Objectives, the losses that the weights minimise, one method a file. Read ``loss`` and ``learner`` first.

An objective is a function ``(spec, model, x, x_adv, y, weights) -> Loss``. It runs the forward passes that it needs, in the
model's current mode and with the labels, and sums its terms over the heads by their weights. An objective that trains further
weights or needs several optimisers is a subclass of :class:`Learner`. Specifications in :mod:`trainables.config.objective` name
the implementations.
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
    """Compute the loss of each example of a batch: the objective's over all heads, plus the inserted module's regulariser.

    Args:
        spec: specification of an objective that is implemented by a function.
        module: specification of the module inserted in the model.
        model: in training mode; its batch statistics are updated.
        x: natural images (B, channels, size, size) in [0, 1].
        x_adv: adversarial images; x itself where the trial has no attack.
        y: labels (B,).
        targets: distributions over the classes, (B, classes), for AT to use in place of the labels.
    """
    weights = training_weights(module)
    more = {"targets": targets} if spec.takes_targets else {}
    result: Loss = OBJECTIVE.load(spec.name)(spec, model, x, x_adv, y, weights, **more)
    return with_regulariser(module, result, y)


class _FunctionLearner(Learner):
    """Learner of objectives that are implemented by a function."""

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        return loss(self.trial.objective, self.trial.module, self.network, x, x_adv, y, targets)


def build_learner(trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> Learner:
    """Build the learner of a trial at the start of its training; ``network`` must be on its device already."""
    made = OBJECTIVE.load(trial.objective.name)
    learner: type[Learner] = made if isinstance(made, type) else _FunctionLearner
    return learner(trial, network, steps_per_epoch)
