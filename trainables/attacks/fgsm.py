"""The fast gradient sign method (Goodfellow et al., ICLR 2015)."""

from torch import Tensor, nn

from trainables.attacks.gradient import ONCE, Expectation, Objective, frozen, input_gradient


def fgsm(model: nn.Module, x: Tensor, y: Tensor, *, eps: float, objective: Objective, over: Expectation = ONCE) -> Tensor:
    """One step of size ``eps`` from x along the sign of the gradient, clipped to [0, 1]; nothing is drawn.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change of a pixel, in [0, 1].
        objective: what is maximised.
        over: what the gradient is the mean of.
    """
    with frozen(model):
        gradient = input_gradient(model, x, y, objective, over)
    return (x.detach() + eps * gradient.sign()).clamp(0, 1)
