"""The unit in which the work of attacks, objectives and measures is counted, for estimates.

A pass is one image forward and back to its pixels, which is an attack's step: twice the multiply-adds of a forward pass.
"""

from math import prod
from typing import Any

#: A forward pass, in passes, and a step of the weights on one image: two gradients, the features' and the weights'.
FORWARD, WEIGHTS = 1 / 2, 3 / 2


def counted_by_fields(spec: Any) -> float:
    """Passes of an attack that says nothing else: one for each of its iterations, restarts and draws."""
    return float(prod(getattr(spec, field, 1) for field in ("iterations", "restarts", "eot")))
