"""k-Winners-Take-All (Xiao et al., ICLR 2020, section 3)."""

import torch
from torch import Tensor

from trainables.config import KWTA
from trainables.modules.inserted import InsertedModule, Insertion

#: Width of the soft threshold, in standard deviations of an example's activations. Of the widths 0.02, 0.05, 0.1, 0.25, 0.5, 1
#: this one broke most on digits.
WIDTH = 0.1


class KWTAModule(InsertedModule):
    """Keep the k largest activations of each example, over all channels and pixels, and set the others to 0.

    At an activation it replaces the ReLU, as in the authors' networks, and so keeps negative values where fewer than k are
    positive; k, too, is as in their code. All values equal to the k-th largest are kept: a choice among them would depend on
    their order.
    """

    replaces = True

    def __init__(self, spec: KWTA, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.ratio = spec.ratio

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Zero all but the k largest of features (B, C, H, W); k is ``ratio`` C H W, rounded down, and at least 1."""
        values = z.detach().flatten(1)
        N = values.shape[1]
        k = max(1, int(self.ratio * N))
        threshold = values.kthvalue(N - k + 1, dim=1).values[:, None, None, None]
        if self.view == "soft":
            width = WIDTH * values.std(1)[:, None, None, None].clamp(min=torch.finfo(z.dtype).tiny)
            return Insertion(z * torch.sigmoid((z - threshold) / width), None)
        return Insertion(torch.where(z.detach() >= threshold, z, 0), None)
