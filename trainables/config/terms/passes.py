"""Passes: the unit in which estimates count the work of attacks, objectives and measures.

A pass is one image forward and back to its pixels, which is one step of an attack: twice the multiply-adds of a forward pass.
"""

from math import prod
from typing import Any

#: In passes: a forward pass, and a training step on one image (the gradients of the features and of the weights).
FORWARD, WEIGHTS = 1 / 2, 3 / 2


def counted_by_fields(spec: Any) -> float:
    """Return the default passes of an attack: the product of its iterations, restarts and draws (``eot``)."""
    return float(prod(getattr(spec, field, 1) for field in ("iterations", "restarts", "eot")))
