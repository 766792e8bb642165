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
    """Trainable prototypes w_c in feature space, one for each class; initialised by a standard normal (authors' code)."""

    def __init__(self, classes: int, channels: int, seed: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(classes, channels, generator=generator(seed, "objective")))

    def forward(self, f: Tensor, y: Tensor) -> Tensor:
        """Compute the conformity loss (B,) of features f (B, C) with labels y (B,), eq. 5:

        ||f - w_y|| - sum over c != y of (||f - w_c|| + ||w_y - w_c||) / (classes - 1).
        """
        k = len(self.w)
        exact = "donot_use_mm_for_euclid_dist"
        to_all = torch.cdist(f, self.w, compute_mode=exact)
        to_own = to_all.gather(1, y[:, None])[:, 0]
        # The distance of a prototype to itself is 0, and so is its gradient.
        between = torch.cdist(self.w, self.w, compute_mode=exact).sum(1)[y]
        return to_own - (to_all.sum(1) - to_own + between) / (k - 1)


class PCLLearner(Learner):
    """Learner with the cross-entropy over all heads, plus the conformity loss of the pooled features after the warm-up.

    Without an attack it trains on natural examples; with one, on the mean of the natural and the adversarial loss, as in the
    authors' code. The paper uses the features of several layers, each through an additional branch; here only the last features
    are used, which every network has. The authors' code differs from eq. 5, which is implemented here: it has squared
    distances, other prototypes for pushing than for pulling, and a weight of 1e-5 for pushing.
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
        """Compute the loss of each example; see :meth:`Learner.loss`."""
        outputs = self.network(x, y)
        value = self.value(outputs, y)
        if x_adv is not x:
            outputs = self.network(x_adv, y)
            value = (value + self.value(outputs, y)) / 2
        return with_regulariser(self.trial.module, Loss(value, outputs), y)

    def value(self, outputs: Outputs, y: Tensor) -> Tensor:
        """Compute the loss (B,) of the outputs on natural or adversarial examples with labels ``y`` (B,)."""
        value = joint(self.weights, lambda z: cross_entropy(z, y), outputs)
        if self.epoch >= self.spec.warmup:
            value = value + self.spec.weight * self.own(outputs.features, y)
        return value
