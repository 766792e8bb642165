"""A small convolutional network that has learned a little, in float64."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.shared import weights_once
from trainables.outputs import Outputs

CLASSES = 4


class Small(nn.Module):
    """Two convolutions with batch norms, pooled features, a linear layer; and one more prediction half way."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.aux, self.fc = nn.Linear(6, CLASSES), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Outputs:
        z = F.relu(self.bn1(self.conv1(x)))
        maps = F.relu(self.bn2(self.conv2(z)))
        features = maps.mean((2, 3))
        return Outputs(self.fc(features), (self.aux(z.mean((2, 3))),), features, maps)


def examples(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A bright quarter of the image for each class, and noise: images (n, 1, 6, 6) in [0, 1], labels (n,)."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (n,), generator=generator)
    x = 0.5 * torch.rand(n, 1, 6, 6, generator=generator, dtype=torch.float64)
    for image, label in zip(x, y.tolist(), strict=True):
        row, column = 3 * (label // 2), 3 * (label % 2)
        image[0, row : row + 3, column : column + 3] += torch.linspace(0.1, 0.4, 9, dtype=torch.float64).view(3, 3)
    return x, y


def _learn() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = Small().double()
    x, y = examples(64, seed=1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        outputs = model(x)
        (F.cross_entropy(outputs.logits, y) + F.cross_entropy(outputs.aux[0], y)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.state_dict()


def small() -> Small:
    """A fresh copy, in evaluation mode."""
    with torch.random.fork_rng(devices=()):
        model = Small().double()
    model.load_state_dict(weights_once("small-network", _learn))
    return model.eval()
