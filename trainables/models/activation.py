"""The activations of networks, at which a module may stand."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.modules import InsertedModule


class Activation(nn.Module):
    """A ReLU, which a module that makes no prediction may follow or replace.

    Which modules do: :class:`trainables.config.module.AtActivations`.

    Attributes:
        position: the position to which it belongs: the first one at it or behind it, else the network's last.
        inserted: the module; None for the ReLU alone.
    """

    inserted: InsertedModule | None

    def __init__(self, position: str) -> None:
        super().__init__()
        self.position = position
        self.inserted = None

    def forward(self, z: Tensor) -> Tensor:
        """Activate features (B, C, H, W) or units (B, C)."""
        if self.inserted is None:
            return F.relu(z)
        # In bf16 many activations would be equal, and so win or lose together.
        with torch.autocast(z.device.type, enabled=False):
            z = z.to(torch.promote_types(z.dtype, torch.float32))
            maps = (z if self.inserted.replaces else F.relu(z)).view(*z.shape, *(1,) * (4 - z.dim()))
            found: Tensor = self.inserted(maps).z.view_as(z)
        return found
