"""A module that weighs channels: the specification, which names its implementation, so that plans know it without torch."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.config.entrance.lazy import plugin
from trainables.config.module import Silent
from trainables.config.terms.registry import MODULE


@plugin(MODULE)
class Gate(Silent):
    """``width``: hidden units of the network that weighs the channels."""

    implementation = "advsweep_corners.gate_module:GateModule"

    name: Literal["gate"] = "gate"
    positions: tuple[str, ...] = ("P1",)
    width: Annotated[int, Field(ge=1)] = 8
