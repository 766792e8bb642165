"""Adversarial Feature Desensitization (Bashivan et al.: ICLR 2021 submission, section 2.1, Algorithm 1; NeurIPS 2021 code)."""

from collections.abc import Iterable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from trainables import config
from trainables.joint import joint
from trainables.models import Network
from trainables.objectives.learner import Learner
from trainables.objectives.loss import Loss, cross_entropy, with_regulariser
from trainables.rng import derive

#: Slope of the hidden units below 0, from the authors' code.
SLOPE = 0.2


class Discriminator(nn.Module):
    """Da: how natural features look, given their label; spectral normalisation on every layer.

    Linear layers with leaky ReLUs make h (B, d) of the features, h being the features themselves in FC1. The output is linear
    in h, plus with PD <embedding of y, h> (Miyato & Koyama, ICLR 2018, eq. 3).
    """

    def __init__(self, spec: config.AFD, channels: int, classes: int) -> None:
        super().__init__()
        widths = [channels] if spec.discriminator.startswith("FC1") else [channels, spec.hidden, spec.hidden]
        self.layers = nn.ModuleList(spectral_norm(nn.Linear(a, b)) for a, b in pairwise(widths))
        self.linear = spectral_norm(nn.Linear(widths[-1], 1))
        self.embedding = spectral_norm(nn.Embedding(classes, widths[-1])) if spec.discriminator.endswith("PD") else None

    def forward(self, f: Tensor, y: Tensor) -> Tensor:
        """Features (B, channels) and labels (B,) to (B,), above 0 for natural ones."""
        h = f
        for layer in self.layers:
            h = F.leaky_relu(layer(h), SLOPE)
        out: Tensor = self.linear(h)[:, 0]
        return out if self.embedding is None else out + (self.embedding(y) * h).sum(1)


def natural(loss: str, out: Tensor) -> Tensor:
    """What is small (B,) where the discriminator's ``out`` says natural: softplus(-out) in eq. 2; -out for a critic."""
    return F.softplus(-out) if loss == "softplus" else -out


def perturbed(loss: str, out: Tensor) -> Tensor:
    """What is small (B,) where the discriminator's ``out`` says perturbed: softplus(out) in eq. 2; out for a critic."""
    return natural(loss, -out)


class AFDLearner(Learner):
    """Three losses one after the other, each with an optimiser of its own, for a batch of natural and adversarial images.

    1. The network (E, Dc) classifies the natural images: cross-entropy over all heads.
    2. The discriminator Da tells the features of both kinds apart.
    3. The encoder E, everything but the final linear layer, makes the adversarial features look natural.

    As in the authors' code each step sees what the one before it changed, which is also how the text of section 2.1 has it;
    Algorithm 1 writes the losses first and the updates after them. Step 2 does not change the encoder, so the adversarial
    features are computed once for 2 and 3. Weight decay acts in step 1 only.
    """

    own: Discriminator

    def __init__(self, trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> None:
        super().__init__(trial, network, steps_per_epoch)
        assert isinstance(trial.objective, config.AFD)
        self.spec = spec = trial.objective
        fc = network.fc
        # torch's layers, and the normalisation's first vectors, are drawn from the global CPU generator only.
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derive(trial.seed, "objective"))
            self.own = Discriminator(spec, fc.in_features, fc.out_features)
        self.own.to(fc.weight.device)
        momentum = trial.training.momentum
        decoder = {id(p) for p in fc.parameters()}
        self.encoder = [p for p in network.parameters() if id(p) not in decoder]
        self.optimize("discriminator", self.own.parameters(), spec.lr_discriminator, momentum)
        self.optimize("encoder", self.encoder, spec.lr_encoder, momentum)
        self._begin()

    def _begin(self) -> None:
        device = self.network.fc.weight.device
        self._right = torch.zeros((), device=device, dtype=torch.int64)
        self._seen = 0

    def learn(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None = None) -> Loss:
        """See :meth:`Learner.learn`; the value is the sum of the three losses."""
        clean = self.network(x, y)
        classification = with_regulariser(
            self.trial.module, Loss(joint(self.weights, lambda z: cross_entropy(z, y), clean), clean), y
        ).value
        self._update("network", classification, self.network.parameters())

        with torch.no_grad():
            f = self.network(x, y).features
        adv = self.network(x_adv, y)
        f_adv = adv.features
        out, out_adv = self.own(torch.cat([f, f_adv.detach()]), torch.cat([y, y])).chunk(2)
        discrimination = natural(self.spec.loss, out) + perturbed(self.spec.loss, out_adv)
        self._update("discriminator", discrimination, self.own.parameters())
        self._right += (out > 0).sum() + (out_adv < 0).sum()
        self._seen += 2 * len(y)

        deception = natural(self.spec.loss, self.own(f_adv, y))
        self._update("encoder", deception, self.encoder)
        self.end_step()
        return Loss((classification + discrimination + deception).detach(), adv)

    def _update(self, name: str, value: Tensor, parameters: Iterable[Tensor]) -> None:
        """One step of an optimiser, with gradients of its parameters alone."""
        self.optimizers[name].zero_grad(set_to_none=True)
        torch.autograd.backward(value.mean(), inputs=list(parameters))
        self.optimizers[name].step()

    def end_epoch(self) -> dict[str, float]:
        """See :meth:`Learner.end_epoch`; ``discriminator_accuracy`` in [0, 1] is over both kinds of features (Fig. A5)."""
        accuracy = float(self._right) / max(self._seen, 1)
        self._begin()
        return super().end_epoch() | {"discriminator_accuracy": accuracy}
