"""Channel-wise Importance-based Feature Selection (Yan et al., ICML 2021, section 3.2)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.config import CIFS, Sigmoid, Softplus
from trainables.modules.inserted import InsertedModule, Insertion

#: Beta of the probes' softplus.
SHARPNESS = 5.0


class Probe(nn.Module):
    """A probe on pooled features f (B, C): A(f) = W_{d+1} s(W_d ... s(W_1 f + b_1) ... + b_d) + b_{d+1}, with s a softplus.

    ``depth``: d, its number of hidden layers; a linear probe has none. ``hidden``: the units of each.
    """

    def __init__(self, channels: int, classes: int, depth: int, hidden: int) -> None:
        super().__init__()
        sizes = (channels, *[hidden] * depth, classes)
        *inner, self.last = (nn.Linear(*ends) for ends in pairwise(sizes))
        self.inner = nn.ModuleList(inner)

    def forward(self, f: Tensor) -> Tensor:
        """Logits (B, classes)."""
        for layer in self.inner:
            f = F.softplus(layer(f), beta=SHARPNESS)
        logits: Tensor = self.last(f)
        return logits

    def relevance(self, f: Tensor, top: Tensor) -> Tensor:
        """Return the gradient (B, C) of the sum of the logits ``top`` with respect to f.

        It is the sum of the rows of W_{d+1}, and then, from the last hidden layer to the first, times s' and times W.

        ``top``: classes, int64 (B, k), or a weight for each class, float (B, classes).
        """
        slopes = []
        for layer in self.inner:
            a = layer(f)
            slopes.append(torch.sigmoid(SHARPNESS * a))
            f = F.softplus(a, beta=SHARPNESS)
        g = _rows(top, self.last.weight)
        for layer, slope in zip(self.inner[::-1], slopes[::-1], strict=True):
            g = (slope * g) @ layer.get_parameter("weight")
        return g


def _rows(top: Tensor, weight: Tensor) -> Tensor:
    """Sum the rows ``top``, int64 (B, k), of ``weight`` (classes, C), or all rows weighted by a float ``top``: (B, C)."""
    return top @ weight if top.is_floating_point() else F.embedding(top, weight).sum(1)


def soft_top(logits: Tensor, k: int) -> Tensor:
    """Return the soft membership of each class in the top k of logits (B, classes): (B, classes), in [0, 1] with sum k.

    The k classes are chosen one after the other, each by a softmax over what is left of every class.
    """
    chosen = torch.zeros_like(logits)
    for _ in range(k):
        left = (1 - chosen).clamp(min=torch.finfo(logits.dtype).tiny)
        chosen = chosen + (logits + left.log()).softmax(1)
    return chosen


class CIFSModule(InsertedModule):
    """A probe that predicts, the channels' relevances g to its prediction (eq. 1), and the mask made of them (eq. 2).

    Pooling divides by H W and eq. 1 sums over H W pixels, so g is the gradient with respect to the pooled features. A probe has
    it in closed form, so the forward pass needs no automatic differentiation. The mask is computed from detached features:
    its gradient reaches the probe's weights and no layer before them. In the soft view it reaches the features as well.
    """

    starts_as_network = True

    def __init__(self, spec: CIFS, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.k, self.training_top = spec.top_k, spec.training_top
        self.imgf = spec.imgf
        self.probe = Probe(channels, classes, spec.depth[index], spec.hidden)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Map features (B, C, H, W) to z~ = z m, and return the probe's logits (B, classes) too."""
        f = z.mean((2, 3))
        logits = self.probe(f)
        if self.view == "soft":
            g = self.probe.relevance(f, soft_top(logits, self.k))
        else:
            g = self.probe.relevance(f.detach(), self.top(logits.detach(), y))
        return Insertion(z * self.mask(g)[:, :, None, None], logits)

    def top(self, logits: Tensor, y: Tensor | None) -> Tensor:
        """Return the classes (B, k) whose relevances are summed: the top k; in training, the first is y.

        The others are the top k - 1 of the other classes (``distinct``) or, ``as-code``, those ranked 2 to k.
        """
        if y is None:
            return logits.topk(self.k, dim=1).indices
        if self.training_top == "as-code":
            return torch.cat((y[:, None], logits.topk(self.k, dim=1).indices[:, 1:]), 1)
        return logits.scatter(1, y[:, None], torch.inf).topk(self.k, dim=1).indices

    def mask(self, g: Tensor) -> Tensor:
        """Map relevances g (B, C) to importances m >= 0 (B, C) by sigmoid, softplus or softmax (section 3.2, 3)."""
        if isinstance(self.imgf, Sigmoid):
            return torch.sigmoid(self.imgf.alpha * g)
        if isinstance(self.imgf, Softplus):
            return F.softplus(g, beta=self.imgf.alpha)
        return torch.softmax(g / self.imgf.T, dim=1)

    @staticmethod
    def head_weights(spec: CIFS) -> tuple[float, ...]:
        """Return ``scale`` times eq. 3's weights: 1 / (1 + beta) for the final prediction, beta / ((1 + beta) S) a module."""
        S = len(spec.positions)
        final = spec.scale / (1 + spec.beta)
        return (final, *(final * spec.beta / S for _ in range(S)))
