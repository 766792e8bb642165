"""An attack that tries random corners of the ball: specification and implementation in one file, which imports torch."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from trainables import plugins


class Corners(plugins.Linf, plugins.Scored):
    """``iterations``: how many corners are tried."""

    sees = plugins.Sees.SCORES
    iterates = True

    name: Literal["corners"] = "corners"
    iterations: Annotated[int, Field(ge=1)] = 10


@plugins.attack(Corners)
def corners(spec: Corners, case: plugins.Case) -> Tensor:
    """Return, of the corners that were tried, the one with the largest loss."""
    loss = case.objective(lambda logits, y: F.cross_entropy(logits, y, reduction="none"))
    worst, images = case.x.new_full((len(case.x),), -torch.inf), case.x
    for _ in range(spec.iterations):
        sign = torch.randint(2, case.x.shape, generator=case.generator, device=case.x.device) * 2 - 1
        x = (case.x + spec.eps * sign).clamp(0, 1)
        with torch.no_grad():
            value = loss(case.model(x), case.y)
        images = torch.where((value > worst)[:, None, None, None], x, images)
        worst = torch.maximum(value, worst)
    return images
