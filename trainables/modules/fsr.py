"""Feature Separation and Recalibration (Kim et al., CVPR 2023), with the variants of its supplement, section 2."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.config import FSR
from trainables.config.module import FSR_CHANNELS as HIDDEN
from trainables.modules.inserted import InsertedModule, Insertion
from trainables.outputs import Outputs


class Split(NamedTuple):
    """Logits, each (B, classes), from the separated features: ``robust`` from f+, ``nonrobust`` from f-."""

    robust: Tensor
    nonrobust: Tensor


def bottleneck(channels: int) -> nn.Sequential:
    """Build a separation or recalibration net, which maps features (B, C, H, W) to the same shape."""
    return nn.Sequential(
        nn.Conv2d(channels, HIDDEN, 3, padding=1, bias=False),
        nn.BatchNorm2d(HIDDEN),
        nn.ReLU(),
        nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1, bias=False),
        nn.BatchNorm2d(HIDDEN),
        nn.ReLU(),
        nn.Conv2d(HIDDEN, channels, 3, padding=1, bias=False),
    )


class FSRModule(InsertedModule):
    """A mask m in [0, 1] of the units' robustness; the masked-out part of the features is recalibrated and added back.

    f+ = m f;  f- = (1 - m) f;  f~ = f- + (1 - m) Rec(f-);  the output is f+ + f~. One linear layer predicts from each of the
    three, pooled. The module's prediction is that of f~.

    Table S7 replaces the learned mask, here as follows: ``none`` sets m = 0, so all activations are recalibrated and f+ is 0.
    ``random`` and ``greedy`` mask out half of an example's units, a share that the supplement does not give. ``random`` samples
    m in every forward pass, in evaluations too, since it has no noise-free form. ``greedy`` masks out the lowest units; where
    more than half are equally low (after a ReLU: 0), all of these. The loss is the same, except for ``none``.
    """

    starts_as_network = True

    def __init__(self, spec: FSR, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.spec = spec
        self.rec = bottleneck(channels)
        self.fc = nn.Linear(channels, classes)
        if spec.separation == "learned":
            self.sep = bottleneck(channels)

    @property
    def draws(self) -> bool:
        """Whether a forward pass is stochastic: always with random masks, in training with learned gumbel masks unless soft."""
        if self.spec.separation != "learned":
            return self.spec.separation == "random"
        return self.training and self.view != "soft" and self.spec.mask == "gumbel"

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Map features (B, C, H, W) to f+ + f~; return the prediction of f~ (B, classes), and those of f+ and f-, too."""
        m = self.mask(z).to(z.dtype)
        robust, nonrobust = m * z, (1 - m) * z
        recalibrated = nonrobust + (1 - m) * self.rec(nonrobust)
        split = Split(self.predict(robust), self.predict(nonrobust))
        return Insertion(robust + recalibrated, self.predict(recalibrated), split)

    def predict(self, f: Tensor) -> Tensor:
        """Map features (B, C, H, W) to logits (B, classes)."""
        logits: Tensor = self.fc(f.mean((2, 3)))
        return logits

    def mask(self, z: Tensor) -> Tensor:
        """Return m, shaped as z: 1 for a robust unit, 0 for a unit to recalibrate."""
        if self.spec.separation == "none":
            return torch.zeros_like(z)
        if self.spec.separation == "random":
            return (self.uniform(*z.shape, like=z) < 0.5).float()
        if self.spec.separation == "greedy":
            values = z.detach().flatten(1)
            lowest = values.kthvalue((values.shape[1] + 1) // 2, dim=1).values
            return (z > lowest[:, None, None, None]).float()
        r: Tensor = self.sep(z)
        if self.view == "soft":
            return torch.sigmoid(r)  # tau = 1: neither a jump nor saturated
        if self.spec.mask == "binary":
            return (r >= 0).float()  # sigmoid(r) >= 0.5: supplement, eq. 2
        return self.gumbel_sigmoid(r)

    def gumbel_sigmoid(self, r: Tensor) -> Tensor:
        """Return softmax([log p + G1, log(1 - p) + G2] / tau)[0] with p = sigmoid(r), shaped as r.

        That equals sigmoid((r + G1 - G2) / tau), where the difference of two Gumbel variables is a logistic variable. Noise is
        added in training forward passes only; in evaluations and attacks the mask is sigmoid(r / tau).
        """
        if self.training:
            r = r + torch.logit(self.uniform(*r.shape, like=r), eps=1e-8)
        return torch.sigmoid(r / self.spec.tau)

    @staticmethod
    def head_weights(spec: FSR) -> tuple[float, ...]:
        """Return weights with the final prediction alone; the modules' predictions enter :meth:`regulariser`."""
        return (1.0, *(0.0 for _ in spec.positions))

    @staticmethod
    def regulariser(spec: FSR, outputs: Outputs, y: Tensor) -> Tensor | None:
        """Return lambda_sep L_sep + lambda_rec L_rec, (B,), averaged over the modules as in the authors' code.

        L_sep = CE(p+, y) + a loss of p- (supplement, eq. 1 and Table S5); L_rec = CE(p~, y). A term of weight 0 is skipped,
        and L_sep is skipped without separation, where f+ is 0.
        """
        terms = []
        for recalibrated, split in zip(outputs.aux, outputs.inner, strict=True):
            if spec.lambda_sep and spec.separation != "none":
                misled = nonrobust_loss(spec, split.nonrobust, outputs.logits.detach(), y)
                terms.append(spec.lambda_sep * (F.cross_entropy(split.robust, y, reduction="none") + misled))
            if spec.lambda_rec:
                terms.append(spec.lambda_rec * F.cross_entropy(recalibrated, y, reduction="none"))
        return torch.stack(terms).sum(0) / len(outputs.inner) if terms else None


def nonrobust_loss(spec: FSR, nonrobust: Tensor, final: Tensor, y: Tensor) -> Tensor:
    """Return the loss (B,) of f- from its logits and the final logits, both (B, classes) (supplement, section 2).

    ``mispredicted``: cross-entropy with the wrong class of the highest final logit. ``uniform``: cross-entropy with the uniform
    distribution. ``entropy-max``: minus the entropy. ``average-targeted``: the mean cross-entropy over all wrong classes.
    """
    log_p = F.log_softmax(nonrobust, dim=1)
    if spec.separation_loss == "mispredicted":
        best_wrong = final.scatter(1, y[:, None], -torch.inf).argmax(1)
        return F.nll_loss(log_p, best_wrong, reduction="none")
    if spec.separation_loss == "uniform":
        return -log_p.mean(1)
    if spec.separation_loss == "entropy-max":
        return (log_p.exp() * log_p).sum(1)
    return (F.nll_loss(log_p, y, reduction="none") + log_p.sum(1)) / (1 - log_p.shape[1])
