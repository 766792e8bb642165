"""Prototype Conformity Loss (Mustafa et al., ICCV 2019), as in its authors' public code."""

import torch
from torch import Tensor, nn

from trainables import config
from trainables.joint import joint
from trainables.models import Network
from trainables.objectives.learner import Learner
from trainables.objectives.loss import Loss, cross_entropy, with_regulariser
from trainables.outputs import Outputs
from trainables.rng import generator


class Prototypes(nn.Module):
    """Trainable prototypes in feature space, two for each class: w_c pulls features, and v_c pushes them away.

    Both (classes, channels), initialised by a standard normal.
    """

    def __init__(self, classes: int, channels: int, seed: int) -> None:
        super().__init__()
        draws = generator(seed, "objective")
        self.w, self.v = (nn.Parameter(torch.randn(classes, channels, generator=draws)) for _ in range(2))

    def forward(self, f: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Compute two squared distances (B,) of features f (B, C) with labels y (B,).

        ||f - w_y||^2, which is to be small, and the mean over c != y of ||f - v_c||^2, which is to be large.
        """
        own = (f - self.w[y]).square().sum(1)
        to_all = (f[:, None] - self.v).square().sum(2)
        others = to_all.sum(1) - to_all.gather(1, y[:, None])[:, 0]
        return own, others / (len(self.v) - 1)


class PCLLearner(Learner):
    """Learner with the cross-entropy over all heads, and after the warm-up two distances of the pooled features to prototypes.

    The loss is CE + ``weight`` ||f - w_y||^2 - ``push`` mean over c != y of ||f - v_c||^2. Without an attack it trains on
    natural examples; with one, on natural and adversarial examples in one batch, which share batch statistics.

    All of it is the authors' public code; the text of the paper was not at hand. The gradients of the prototypes are divided
    by the weights there, so their learning rates are here. The code has such distances in two places, each with prototypes of
    its own: the pooled features, and a linear layer of 1024 units after them. Only the former are in every network, and used
    here. Its learning rates are meant to drop at milestones, but it writes them where no optimiser reads them; here they do.
    """

    own: Prototypes

    def __init__(self, trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> None:
        super().__init__(trial, network, steps_per_epoch)
        assert isinstance(trial.objective, config.PCL)
        self.spec = spec = trial.objective
        fc = network.fc
        self.own = Prototypes(fc.out_features, fc.in_features, trial.seed).to(fc.weight.device)
        # With a weight of 0 prototypes have no gradient.
        self.optimize("pull", [self.own.w], spec.lr / (spec.weight or 1), momentum=0.0)
        self.optimize("push", [self.own.v], spec.lr_push / (spec.push or 1), momentum=0.0)

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        """Compute the loss of each example, the mean of its natural and adversarial image's; see :meth:`Learner.loss`."""
        if x_adv is x:
            outputs = self.network(x, y)
            return with_regulariser(self.trial.module, Loss(self.value(outputs, y), outputs), y)
        twice = torch.cat([y, y])
        outputs = self.network(torch.cat([x, x_adv]), twice)
        value = with_regulariser(self.trial.module, Loss(self.value(outputs, twice), outputs), twice).value
        logits, features, maps = (part[len(y) :] for part in (outputs.logits, outputs.features, outputs.maps))
        return Loss(value.view(2, -1).mean(0), Outputs(logits, tuple(z[len(y) :] for z in outputs.aux), features, maps))

    def value(self, outputs: Outputs, y: Tensor) -> Tensor:
        """Compute the loss (B,) of the outputs on natural or adversarial examples with labels ``y`` (B,)."""
        value = joint(self.weights, lambda z: cross_entropy(z, y), outputs)
        if self.epoch >= self.spec.warmup:
            pull, push = self.own(outputs.features, y)
            value = value + self.spec.weight * pull - self.spec.push * push
        return value
