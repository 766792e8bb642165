"""What weighs channels, imported when a network is built with it."""

from torch import Tensor, nn

from advsweep_corners.gate import Gate
from trainables import plugins


class GateModule(plugins.InsertedModule):
    """Squeeze and excitation (Hu et al., CVPR 2018)."""

    def __init__(self, spec: Gate, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.net = nn.Sequential(nn.Linear(channels, spec.width), nn.ReLU(), nn.Linear(spec.width, channels), nn.Sigmoid())

    def forward(self, z: Tensor, y: Tensor | None = None) -> plugins.Insertion:
        """Weigh features (B, C, H, W) by channel."""
        return plugins.Insertion(z * self.net(z.mean((2, 3)))[:, :, None, None], None)
