"""What the weights minimise, by the names in ``config.Objective``."""

from collections import ChainMap
from collections.abc import Callable
from typing import Any

from torch import Tensor

from trainables import config
from trainables.config import registry
from trainables.joint import Weights, training_weights
from trainables.models import Network
from trainables.objectives.afd import AFDLearner
from trainables.objectives.alp import alp
from trainables.objectives.at import at
from trainables.objectives.feature_matching import feature_matching
from trainables.objectives.l2_matching import l2_matching
from trainables.objectives.learner import Learner
from trainables.objectives.loss import Loss, with_regulariser
from trainables.objectives.mart import mart
from trainables.objectives.pcl import PCLLearner
from trainables.objectives.standard import standard
from trainables.objectives.trades import trades

__all__ = ["LEARNERS", "OBJECTIVES", "Learner", "Loss", "build_learner", "loss"]

#: ``(spec, model, x, x_adv, y, weights) -> Loss`` for each name. An objective runs the forward passes that it needs itself,
#: in the model's present mode and with the labels, and applies its terms to every head by its weight.
OBJECTIVES: ChainMap[str, Callable[[Any, Network, Tensor, Tensor, Tensor, Weights], Loss]] = ChainMap(
    {
        "standard": standard,
        "at": at,
        "trades": trades,
        "mart": mart,
        "alp": alp,
        "feature-matching": feature_matching,
        "l2-matching": l2_matching,
    },
    registry.OBJECTIVE.table("functions"),
)

#: Objectives that are more than a function of the network: with weights or optimisers of their registry.
LEARNERS: ChainMap[str, type[Learner]] = ChainMap({"pcl": PCLLearner, "afd": AFDLearner}, registry.OBJECTIVE.table("learners"))


def loss(
    spec: config.Objective,
    module: config.Module,
    model: Network,
    x: Tensor,
    x_adv: Tensor,
    y: Tensor,
    targets: Tensor | None = None,
) -> Loss:
    """The loss of each example of a batch: the objective's on every head, and the inserted module's registry.

    Args:
        spec: one of :data:`OBJECTIVES`, and its settings.
        module: what is inserted in the model.
        model: in training mode; its batch statistics are updated.
        x: natural images (B, channels, size, size) in [0, 1].
        x_adv: adversarial ones; x itself where the trial has no attack.
        y: labels (B,).
        targets: distributions over the classes, (B, classes), that AT learns in their place.
    """
    weights = training_weights(module)
    if isinstance(spec, config.AT):
        result = at(spec, model, x, x_adv, y, weights, targets)
    else:
        result = OBJECTIVES[spec.name](spec, model, x, x_adv, y, weights)
    return with_regulariser(module, result, y)


class _FunctionLearner(Learner):
    """Learns by one of :data:`OBJECTIVES`."""

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        return loss(self.trial.objective, self.trial.module, self.network, x, x_adv, y, targets)


def build_learner(trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> Learner:
    """What trains ``network``, which is on its device already, from the start."""
    return LEARNERS.get(trial.objective.name, _FunctionLearner)(trial, network, steps_per_epoch)
