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
    """The discriminator Da, which scores features as natural or perturbed given their label.

    Every layer is spectrally normalised. Linear layers with leaky ReLUs map the features to h (B, d); where ``depth`` is 1, h
    is the features. The output is linear in h, plus <embedding of y, h> with ``projection`` (Miyato & Koyama, ICLR 2018,
    eq. 3). The last layer and the embedding start as in the authors' code, Glorot uniform: an embedding that starts at torch's
    N(0, 1) has a norm of about sqrt(d) before it is normalised, and hardly learns.
    """

    def __init__(self, spec: config.AFD, channels: int, classes: int) -> None:
        super().__init__()
        widths = [channels, *[spec.hidden] * (spec.depth - 1)]
        self.layers = nn.ModuleList(spectral_norm(nn.Linear(a, b)) for a, b in pairwise(widths))
        self.linear = _glorot(nn.Linear(widths[-1], 1))
        self.embedding = _glorot(nn.Embedding(classes, widths[-1])) if spec.projection else None

    def forward(self, f: Tensor, y: Tensor | None = None) -> Tensor:
        """Map features (B, channels) to scores (B,), above 0 for natural features; ``y``: labels (B,), if there are any."""
        h = f
        for layer in self.layers:
            h = F.leaky_relu(layer(h), SLOPE)
        out: Tensor = self.linear(h)[:, 0]
        return out if self.embedding is None or y is None else out + (self.embedding(y) * h).sum(1)


def _glorot(layer: nn.Linear | nn.Embedding) -> nn.Module:
    """Start the weight of a layer as Glorot & Bengio (AISTATS 2010, eq. 16: uniform), and normalise it spectrally."""
    nn.init.xavier_uniform_(layer.weight)
    return spectral_norm(layer)


def natural(loss: str, out: Tensor) -> Tensor:
    """Return the loss (B,) of scores ``out`` (B,) with target natural: softplus(-out) as in eq. 2, or -out for a critic."""
    return F.softplus(-out) if loss == "softplus" else -out


def perturbed(loss: str, out: Tensor) -> Tensor:
    """Return the loss (B,) of scores ``out`` (B,) with target perturbed: softplus(out) as in eq. 2, or out for a critic."""
    return natural(loss, -out)


class AFDLearner(Learner):
    """Learner with three losses, each minimised in turn by a separate optimiser on a batch of natural and adversarial images.

    1. The network (E, Dc) classifies the natural images: cross-entropy over all heads.
    2. The discriminator Da learns to separate the features of natural images from those of adversarial images.
    3. The encoder E, everything except the final linear layer, learns to make Da score adversarial features as natural.

    As in the authors' code and the text of section 2.1, each step uses the weights that the previous one updated; Algorithm 1
    computes all losses first and updates afterwards. Step 2 does not change the encoder, so the adversarial features are
    computed once for steps 2 and 3. Weight decay applies to step 1 only.

    With ``forwards = "as-code"`` the encoder sees the natural images twice and the adversarial ones three times, in training
    mode, and the discriminator sees both in step 2 one after the other: running statistics and spectral norms are those of the
    authors' code. With its critic it also computes a gradient penalty, whose weight is 0 there, in a further pass of each. The
    gradients are those of three passes in either case, since the further ones are without.
    """

    own: Discriminator

    def __init__(self, trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> None:
        super().__init__(trial, network, steps_per_epoch)
        assert isinstance(trial.objective, config.AFD)
        self.spec = spec = trial.objective
        fc = network.fc
        # torch initialises layers and spectral norms from the global CPU generator only.
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
        """Take the three steps on one batch; see :meth:`Learner.learn`. The returned value is the sum of the three losses."""
        clean = self.network(x, y)
        classification = with_regulariser(
            self.trial.module, Loss(joint(self.weights, lambda z: cross_entropy(z, y), clean), clean), y
        ).value
        self._update("network", classification, self.network.parameters())

        with torch.no_grad():
            f = self.network(x, y).features
        adv = self.network(x_adv, y)
        f_adv = adv.features
        out, out_adv = self._scores(f, f_adv.detach(), y)
        if self.spec.forwards == "as-code":
            self._pass_again(x, x_adv, f, y)
        discrimination = natural(self.spec.loss, out) + perturbed(self.spec.loss, out_adv)
        self._update("discriminator", discrimination, self.own.parameters())
        self._right += (out > 0).sum() + (out_adv < 0).sum()
        self._seen += 2 * len(y)

        deception = natural(self.spec.loss, self.own(f_adv, y))
        self._update("encoder", deception, self.encoder)
        self.end_step()
        return Loss((classification + discrimination + deception).detach(), adv)

    def _scores(self, f: Tensor, f_adv: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the discriminator's scores, each (B,), of natural and adversarial features (B, C)."""
        if self.spec.forwards == "as-code":
            return self.own(f, y), self.own(f_adv, y)
        out, out_adv = self.own(torch.cat([f, f_adv]), torch.cat([y, y])).chunk(2)
        return out, out_adv

    @torch.no_grad()
    def _pass_again(self, x: Tensor, x_adv: Tensor, f: Tensor, y: Tensor) -> None:
        """Pass a batch through encoder and discriminator as often again as the authors' code does before its last step.

        In its order: the penalty's natural and adversarial passes, step 3's adversarial one, and one that counts what is right.
        The penalty's pass of the discriminator is without labels; which features it sees changes no spectral norm.
        """
        if self.spec.loss == "critic":
            self.own(f)
        for images in ((x, x_adv) if self.spec.loss == "critic" else ()) + (x_adv, x_adv):
            self.network(images, y)

    def _update(self, name: str, value: Tensor, parameters: Iterable[Tensor]) -> None:
        """Take a step of the optimiser ``name`` on the mean of ``value`` (B,), with gradients of ``parameters`` alone."""
        self.optimizers[name].zero_grad(set_to_none=True)
        torch.autograd.backward(value.mean(), inputs=list(parameters))
        self.optimizers[name].step()

    def end_epoch(self) -> dict[str, float]:
        """End the epoch; return ``discriminator_accuracy`` in [0, 1], over natural and adversarial features (Fig. A5)."""
        accuracy = float(self._right) / max(self._seen, 1)
        self._begin()
        return super().end_epoch() | {"discriminator_accuracy": accuracy}
