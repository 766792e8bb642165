"""Which examples of a batch an attack has broken, since when, and which of them it may leave."""

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.surrogate import errs
from trainables.outputs import Outputs

#: In place of a number of steps, of an example that was never broken: the largest uint16, as it is recorded.
NEVER = 65535


class Watch:
    """A batch of B examples under an attack, on a network whose prediction is a function of the image.

    An example is broken where the network misclassifies it as it is, or an image that the attack visits.

    Attributes:
        since: int64 (B,), the gradient steps over all restarts after which each was first broken: 0 as it is or at the first
            start, :data:`NEVER` if it was not. A later restart's own start counts as its first step, so that what fewer
            restarts would have broken is what was broken within their steps.
        left: int64, the positions of those that are still attacked: all, unless broken ones ``leave``.
        images: (B, channels, size, size): of those that left, what broke them.

    Args:
        network: in no view; in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        along: whether the outputs that an attack has at its points are the network's own.
        leave: whether broken examples are attacked no more. Never where draws depend on how many are.
        first: whether to look at the examples as they are. An attack may start there and look itself.
    """

    def __init__(self, network: nn.Module, x: Tensor, y: Tensor, *, along: bool, leave: bool, first: bool = True) -> None:
        self.network, self.y = network, y
        self.along, self.leave = along, leave
        self.images = x.detach().clone()
        self.left = torch.arange(len(x), device=x.device)
        self.since = torch.full((len(x),), NEVER, device=x.device)
        self._before = 0
        if first:
            self.judge(self.images, 0)

    def see(self, images: Tensor, outputs: Outputs, k: int) -> Tensor | None:
        """Look at the ``left`` examples' images after k steps of this restart, and at an attack's outputs there.

        Returns:
            the places among them of those that stay; None if all do.
        """
        return self._note(images, errs(outputs.logits.detach(), self.y[self.left]), k) if self.along else None

    def look(self, images: Tensor, outputs: Outputs, k: int) -> Tensor | None:
        """As :meth:`see`, by the network itself where the attack's outputs are not its own."""
        return self.see(images, outputs, k) if self.along else self.judge(images, k)

    def judge(self, images: Tensor, k: int) -> Tensor | None:
        """As :meth:`see`, by the network itself."""
        if not len(images):
            return None
        return self._note(images, errs(clean_outputs(self.network, images).logits, self.y[self.left]), k)

    def end(self, images: Tensor, iterations: int) -> Tensor:
        """The end of a restart of so many steps, at the ``left`` examples' images: images of all, (B, ...)."""
        if self.leave:
            self.images[self.left] = images
        self.judge(images, iterations)
        self._before += iterations
        return self.images if self.leave else images

    def _note(self, images: Tensor, wrong: Tensor, k: int) -> Tensor | None:
        steps = self._before + (max(k, 1) if self._before else k)
        if not self.leave:
            self.since = torch.where(wrong & (self.since == NEVER), min(steps, NEVER - 1), self.since)
            return None
        if not wrong.any():
            return None
        gone = self.left[wrong]
        self.images[gone], self.since[gone] = images[wrong], min(steps, NEVER - 1)
        stay = (~wrong).nonzero()[:, 0]
        self.left = self.left[stay]
        return stay
