"""What an adaptive attacker differentiates instead of the network that is attacked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainables.config import View
from trainables.joint import Weights
from trainables.modules import InsertedModule
from trainables.outputs import Outputs, heads


@contextmanager
def viewed(network: nn.Module, view: View) -> Iterator[None]:
    """The network's inserted modules as an attacker wants to see them; then as before.

    ``soft``: smooth likenesses of what jumps or hides a gradient: CAS's mixture of all classes' masks, CIFS's mask with its
    gradient and a soft choice of logits, FSR's mask at tau = 1, kWTA's soft threshold, SAP's expectation. ``train``: the
    modules themselves in training mode, with the noise that FSR has there, but without labels; the batch norms, theirs
    included, stay as they are.
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
    """The network in a view: images (B, channels, size, size) in [0, 1] to :class:`~trainables.outputs.Outputs`."""

    def __init__(self, network: nn.Module, view: View) -> None:
        super().__init__()
        self.network, self.view = network, view

    def forward(self, x: Tensor) -> Outputs:
        """The outputs in this view."""
        with viewed(self.network, self.view):
            outputs: Outputs = self.network(x)
        return outputs


def draws(model: nn.Module) -> bool:
    """Whether a forward pass of a network, or of a view of it, in evaluation mode is a matter of chance.

    Modules say so themselves, by an attribute ``draws``; nothing is run.
    """
    if isinstance(model, Surrogate):
        with viewed(model.network, model.view):
            return draws(model.network)
    return any(getattr(module, "draws", False) for module in model.modules())


class JointLogits(nn.Module):
    """The heads' logits z_s as one prediction, for attacks that know nothing of heads: sum_s w_s z_s / sum_s w_s.

    Its margins are the joint loss's: the weighted means of the heads' margins. Its softmax is the product of the heads'
    predictions, each to the power of its share of the weight. With all weight on one head it is that head.
    """

    def __init__(self, model: nn.Module, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype
        self.shares = [w / sum(weights) for w in weights]

    def forward(self, x: Tensor) -> Tensor:
        """Images in [0, 1], of any precision, to logits (B, classes) of the same."""
        terms = [w * z for w, z in zip(self.shares, heads(self.model(x.to(self.dtype))), strict=True) if w != 0]
        return torch.stack(terms).sum(0).to(x.dtype)


def errs(logits: Tensor, y: Tensor) -> Tensor:
    """Whether a prediction is wrong, (B,): from logits (B, classes) and labels (B,). A tie is, and so is what is no number."""
    return (logits.gather(1, y[:, None]) > logits).sum(1) < logits.shape[1] - 1


#: Whether the network errs, (B,), at images (B, channels, size, size), of which an attack has the outputs of its surrogate.
Judge = Callable[[Tensor, Outputs, Tensor], Tensor]


def judge(network: nn.Module, model: nn.Module) -> Judge:
    """Decides by ``network``, in no view. Where ``model``, which an attack looks at, is that, its outputs are used."""

    def decide(x: Tensor, outputs: Outputs, y: Tensor) -> Tensor:
        if model is not network:
            with torch.no_grad():
                outputs = network(x)
        return errs(outputs.logits.detach(), y)

    return decide


def own_judge(x: Tensor, outputs: Outputs, y: Tensor) -> Tensor:
    """Decides by the outputs of what the attack looks at."""
    return errs(outputs.logits.detach(), y)
