"""A record of which examples of a batch an attack has broken, after how many steps, and by which image."""

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.surrogate import errs
from trainables.outputs import Outputs, heads, rank

#: Number of steps of an example that was never broken: the largest uint16, as it is recorded.
NEVER = 65535


class Watch:
    """The state of B examples during an attack on a deterministic network.

    An example is broken once the network misclassifies its unperturbed image or an image that the attack visits.

    Attributes:
        since: gradient steps over all restarts after which each example was first broken, int64 (B,): 0 for the unperturbed
            image or the first start, :data:`NEVER` if it was not broken. The start of a later restart counts as its first step,
            so that the examples broken by fewer restarts are those broken within their steps.
        left: indices of the examples that are still attacked, int64: all, unless broken ones ``leave``.
        images: images that broke the examples that left, (B, channels, size, size).
        ranks: the true label's rank in every head at the last image alone, int16 (heads, B), by the steps over all restarts at
            which a point was judged. Of several restarts the final prediction's is the highest of those at the end of each
            before, and at the point. Empty where broken examples leave.

    Args:
        network: the attacked network in evaluation mode, in view ``plain``.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        along: whether the outputs that the attack computes at its points are the network's.
        leave: whether the attack stops on broken examples; must be False where random numbers depend on how many are left.
        first: whether to check the unperturbed images; not needed where the attack starts there.
    """

    def __init__(self, network: nn.Module, x: Tensor, y: Tensor, *, along: bool, leave: bool, first: bool = True) -> None:
        self.network, self.y = network, y
        self.along, self.leave = along, leave
        self.images = x.detach().clone()
        self.left = torch.arange(len(x), device=x.device)
        self.since = torch.full((len(x),), NEVER, device=x.device)
        self.ranks: dict[int, Tensor] = {}
        self._before = 0
        self._now = self._ended = torch.zeros(1, len(x), dtype=torch.int16, device=x.device)
        if first:
            self.judge(self.images, 0)

    def see(self, images: Tensor, outputs: Outputs, k: int) -> Tensor | None:
        """Record which of the ``left`` examples are broken after k steps of this restart, by the attack's outputs there.

        Returns:
            indices, among the ``left`` examples, of those that stay; None if all stay.
        """
        return self._note(images, outputs, k) if self.along else None

    def look(self, images: Tensor, outputs: Outputs, k: int) -> Tensor | None:
        """As :meth:`see`, by the network itself where the attack's outputs are not its own."""
        return self.see(images, outputs, k) if self.along else self.judge(images, k)

    def judge(self, images: Tensor, k: int) -> Tensor | None:
        """Record the same as :meth:`see`, by a forward pass of the network."""
        if not len(images):
            return None
        return self._note(images, clean_outputs(self.network, images), k)

    def end(self, images: Tensor, iterations: int) -> Tensor:
        """Record the end of a restart at the ``left`` examples' images; return the images of all examples, (B, ...)."""
        if self.leave:
            self.images[self.left] = images
        self.judge(images, iterations)
        self._ended = torch.maximum(self._ended, self._now[:1])
        self._before += iterations
        return self.images if self.leave else images

    def _note(self, images: Tensor, outputs: Outputs, k: int) -> Tensor | None:
        wrong = errs(outputs.logits.detach(), self.y[self.left])
        steps = self._before + (max(k, 1) if self._before else k)
        if not self.leave:
            self.since = torch.where(wrong & (self.since == NEVER), min(steps, NEVER - 1), self.since)
            self._now = torch.stack([rank(logits.detach(), self.y) for logits in heads(outputs)]).to(torch.int16)
            self.ranks[steps] = torch.cat((torch.maximum(self._ended, self._now[:1]), self._now[1:]))
            return None
        if not wrong.any():
            return None
        gone = self.left[wrong]
        self.images[gone], self.since[gone] = images[wrong], min(steps, NEVER - 1)
        stay = (~wrong).nonzero()[:, 0]
        self.left = self.left[stay]
        return stay
