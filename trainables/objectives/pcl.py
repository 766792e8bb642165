"""Prototype Conformity Loss (Mustafa et al., ICCV 2019, eq. 5 and Algorithm 1)."""

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
    """A point w_c of the feature space for each class, from a standard normal distribution at the start (authors' code)."""

    def __init__(self, classes: int, channels: int, seed: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(classes, channels, generator=generator(seed, "objective")))

    def forward(self, f: Tensor, y: Tensor) -> Tensor:
        """The conformity loss (B,) of features f (B, C) with labels y (B,), eq. 5:

        ||f - w_y|| - sum over c != y of (||f - w_c|| + ||w_y - w_c||), divided by the number of classes but one.
        """
        k = len(self.w)
        exact = "donot_use_mm_for_euclid_dist"
        to_all = torch.cdist(f, self.w, compute_mode=exact)
        to_own = to_all.gather(1, y[:, None])[:, 0]
        # One prototype's distance to itself is 0, and so is its gradient.
        between = torch.cdist(self.w, self.w, compute_mode=exact).sum(1)[y]
        return to_own - (to_all.sum(1) - to_own + between) / (k - 1)


class PCLLearner(Learner):
    """Cross-entropy over all heads, and after the warm-up the conformity of the pooled features.

    Without an attack on natural examples; with one on both kinds, whose losses are averaged, as in the authors' code. The paper
    draws in features of several layers, each through a branch of its own; here only the last ones are used, which every network
    has. The authors' code differs from eq. 5, which is taken: squared distances, other prototypes for pushing than for pulling,
    and 1e-5 for the weight of pushing.
    """

    own: Prototypes

    def __init__(self, trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> None:
        super().__init__(trial, network, steps_per_epoch)
        assert isinstance(trial.objective, config.PCL)
        self.spec = trial.objective
        fc = network.fc
        self.own = Prototypes(fc.out_features, fc.in_features, trial.seed).to(fc.weight.device)
        self.optimize("prototypes", self.own.parameters(), self.spec.lr, momentum=0.0)

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        """See :meth:`Learner.loss`."""
        outputs = self.network(x, y)
        value = self.value(outputs, y)
        if x_adv is not x:
            outputs = self.network(x_adv, y)
            value = (value + self.value(outputs, y)) / 2
        return with_regulariser(self.trial.module, Loss(value, outputs), y)

    def value(self, outputs: Outputs, y: Tensor) -> Tensor:
        """The loss (B,) of one kind of examples."""
        value = joint(self.weights, lambda z: cross_entropy(z, y), outputs)
        if self.epoch >= self.spec.warmup:
            value = value + self.spec.weight * self.own(outputs.features, y)
        return value
