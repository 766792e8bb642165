"""k-Winners-Take-All (Xiao et al., ICLR 2020, section 3)."""

import torch
from torch import Tensor

from trainables.config import KWTA
from trainables.modules.inserted import InsertedModule, Insertion

#: Width of the soft threshold, in standard deviations of an example's activations.
WIDTH = 0.25


class KWTAModule(InsertedModule):
    """Keeps the k largest activations of each example, over all channels and places at once, and sets the others to 0.

    In the paper it takes the place of a ReLU. Here it follows the last one of a block, so that at most k are above 0. Values
    equal to the k-th largest are all kept: which of them won would otherwise depend on their order.
    """

    def __init__(self, spec: KWTA, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.ratio = spec.ratio

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Features (B, C, H, W) to the same without the losers; k is ``ratio`` C H W, rounded, and at least 1."""
        values = z.detach().flatten(1)
        N = values.shape[1]
        k = max(1, round(self.ratio * N))
        threshold = values.kthvalue(N - k + 1, dim=1).values[:, None, None, None]
        if self.view == "soft":
            width = WIDTH * values.std(1)[:, None, None, None].clamp(min=torch.finfo(z.dtype).tiny)
            return Insertion(z * torch.sigmoid((z - threshold) / width), None)
        return Insertion(torch.where(z.detach() >= threshold, z, 0), None)
