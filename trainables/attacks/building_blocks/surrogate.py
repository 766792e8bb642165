"""Surrogates: what an adaptive attacker differentiates in place of the attacked network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.gradient import frozen
from trainables.config import View
from trainables.config.module import AVERAGED
from trainables.joint import Weights
from trainables.modules import InsertedModule
from trainables.outputs import Outputs, heads


@contextmanager
def viewed(network: nn.Module, view: View) -> Iterator[None]:
    """Put the network's inserted modules in a view inside the block.

    ``soft``: smooth approximations of what has jumps or hides a gradient: CAS's average of the classes' masks, CIFS's mask with
    its gradient and a soft choice of logits, FSR's mask at tau = 1, kWTA's soft threshold, SAP's expectation. ``train``: the
    modules in training mode, with FSR's noise, but without labels; batch norms, also inside modules, stay in evaluation mode.
    """
    modules = [module for module in network.modules() if isinstance(module, InsertedModule)]
    before = [(module.view, module.training) for module in modules]
    try:
        for module in modules:
            module.view = view
            module.training = module.training or view == "train"
        yield
    finally:
        for module, (was, training) in zip(modules, before, strict=True):
            module.view, module.training = was, training


class Surrogate(nn.Module):
    """A network in a view: maps images (B, channels, size, size) in [0, 1] to :class:`~trainables.outputs.Outputs`."""

    def __init__(self, network: nn.Module, view: View) -> None:
        super().__init__()
        self.network, self.view = network, view

    def forward(self, x: Tensor) -> Outputs:
        """Compute the network's outputs in the view."""
        with viewed(self.network, self.view):
            outputs: Outputs = self.network(x)
        return outputs


def draws(model: nn.Module) -> bool:
    """Whether a forward pass of a network, or of a view of it, is stochastic in evaluation mode.

    Modules declare it by an attribute ``draws``; nothing is run.
    """
    if isinstance(model, Surrogate):
        with viewed(model.network, model.view):
            return draws(model.network)
    return any(getattr(module, "draws", False) for module in model.modules())


def averaged(network: nn.Module) -> int:
    """Return the number of draws whose mean softmax is the network's prediction: 1 where it does not draw.

    Modules declare it by an attribute ``averaged``; without, it is :data:`~trainables.config.module.AVERAGED`.
    """
    drawing = [module for module in network.modules() if getattr(module, "draws", False)]
    return max((getattr(module, "averaged", AVERAGED) for module in drawing), default=1)


def predict(network: nn.Module, x: Tensor, most: int | None = None) -> Tensor:
    """Compute the final prediction, by which an example is judged, from images; (B, classes), without gradients.

    These are logits; of a stochastic network the logarithm of the mean softmax over draws: what a single draw gets wrong by
    chance is not misclassified, nor is right what one gets right by chance.

    Args:
        network: the attacked network.
        x: images (B, channels, size, size) in [0, 1].
        most: of draws; None for as many as the prediction of the network is the mean of. A search that asks often may do with
            fewer, because whoever evaluates it asks again.
    """
    n = averaged(network)
    with frozen(network), torch.no_grad():
        if n == 1:
            logits: Tensor = network(x).logits
            return logits
        n = min(n, most or n)
        mean = torch.stack([network(x).logits.double().softmax(1) for _ in range(n)]).mean(0)
    return mean.log().to(x.dtype)


class JointLogits(nn.Module):
    """The heads' logits z_s combined to one prediction, sum_s w_s z_s / sum_s w_s, for attacks that know no heads.

    Its margins are the weighted means of the heads' margins, as in the joint loss. Its softmax is the normalised product of the
    heads' predictions, each to the power of its share of the weight. With all weight on one head it equals that head.
    """

    def __init__(self, model: nn.Module, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype
        self.shares = [w / sum(weights) for w in weights]

    def forward(self, x: Tensor) -> Tensor:
        """Map images in [0, 1], of any precision, to logits (B, classes) of the same precision."""
        terms = [w * z for w, z in zip(self.shares, heads(self.model(x.to(self.dtype))), strict=True) if w != 0]
        return torch.stack(terms).sum(0).to(x.dtype)


def errs(logits: Tensor, y: Tensor) -> Tensor:
    """Whether predictions are wrong, (B,), from logits (B, classes) and labels (B,); ties and NaN count as wrong."""
    return (logits.gather(1, y[:, None]) > logits).sum(1) < logits.shape[1] - 1


#: Takes images, the surrogate's outputs there and labels; returns whether the attacked network is wrong, (B,).
Judge = Callable[[Tensor, Outputs, Tensor], Tensor]


def judge(network: nn.Module, model: nn.Module) -> Judge:
    """Return a judge that decides by ``network``, and reuses the given outputs where these are its prediction.

    A stochastic network is judged by the mean of :data:`~trainables.config.module.AVERAGED` draws at most.
    """
    reused = model is network and not draws(network)

    def decide(x: Tensor, outputs: Outputs, y: Tensor) -> Tensor:
        return errs(outputs.logits.detach() if reused else predict(network, x, AVERAGED), y)

    return decide


def own_judge(x: Tensor, outputs: Outputs, y: Tensor) -> Tensor:
    """Judge by the outputs of the surrogate."""
    return errs(outputs.logits.detach(), y)
