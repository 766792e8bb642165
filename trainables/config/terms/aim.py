"""The aim of an attacker in a network whose inserted modules predict too: the weights of the heads."""

import re
from dataclasses import dataclass
from math import isinf
from typing import Self

#: Regular expression of an aim: ``own``, a number, ``inf``, or ``inf-2``.
PATTERN = r"^(own|\d+(\.\d+)?(e-?\d+)?|inf(-[1-9]\d*)?)$"


@dataclass(frozen=True)
class Aim:
    """The weight ``beta_atk`` of the modules' predictions in the joint loss that an attack maximises (CIFS, eq. 3).

    Attributes:
        beta: the weight; ``inf`` for the modules alone; None for the weight that the network was trained with (``own``).
        module: with ``inf``, the one module to attack, counted from 1; None for all modules equally.
    """

    beta: float | None
    module: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``own``, a number, ``inf`` or ``inf-2``.

        Raises:
            ValueError: ``text`` is none of these.
        """
        if not re.fullmatch(PATTERN, text):
            raise ValueError(f"beta_atk = {text!r}: must be own, a number, inf, or a module such as inf-2")
        if text == "own":
            return cls(None)
        number, _, module = text.partition("-") if text.startswith("inf") else (text, "", "")
        return cls(float(number), int(module) if module else None)

    def __str__(self) -> str:
        if self.beta is None:
            return "own"
        if isinf(self.beta):
            return "inf" if self.module is None else f"inf-{self.module}"
        return repr(self.beta).removesuffix(".0")

    def canonical(self, modules: int, own: float) -> Self | None:
        """Return this aim in the form that is equal for equal attacks.

        Args:
            modules: number of predicting modules in the network; without any, every number becomes 0.
            own: the weight that the network was trained with, which replaces ``own``.

        Returns:
            the canonical aim, or None where it names a module that the network does not have.
        """
        if self.beta is not None and isinf(self.beta):
            return None if (self.module or 1) > modules else self
        if not modules:
            return type(self)(0.0)
        return type(self)(own if self.beta is None else self.beta)
