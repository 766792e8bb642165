"""What the record holds of one trial that the checklist of obfuscated gradients looks at."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.fields import AttackFields


class Attack(NamedTuple):
    """One evaluation: the attack's fields, the percentage that it leaves right, of how many examples, and its traits.

    ``sees``: what it is told of the network: gradients, scores, decisions or nothing. ``iterates``: whether it takes many
    steps. ``ensemble``: whether it is made of several kinds, and so is evidence for none of them. ``steps``: gradient steps
    that it counts, None for none.
    """

    spec: AttackFields
    accuracy: float
    examples: int
    sees: str
    iterates: bool
    ensemble: bool
    steps: int | None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def budget(self) -> tuple[str, float] | None:
        """Norm and eps; None for natural images."""
        return self.spec.budget

    @property
    def white_box(self) -> bool:
        """Whether it goes by the network's own gradients alone."""
        return self.sees == "gradients" and not self.ensemble

    @property
    def iterated(self) -> bool:
        """Whether it follows the network's own gradients in many steps."""
        return self.white_box and self.iterates

    @property
    def single_step(self) -> bool:
        """Whether it follows them in one step."""
        return self.white_box and not self.iterates and self.steps == 1

    @property
    def gradient_free(self) -> bool:
        """Whether it asks the network for predictions alone."""
        return self.sees in {"scores", "decisions"} and not self.ensemble

    @property
    def adaptive(self) -> bool:
        """Whether it aims at more than the final prediction of the network as it is."""
        return (self.spec.get("beta_atk", "0"), self.spec.get("view", "plain")) != ("0", "plain")

    def without(self, *fields: str) -> str:
        """Everything but some fields, to compare by."""
        return json.dumps({name: value for name, value in self.spec.items() if name not in fields}, sort_keys=True)


class Evidence(NamedTuple):
    """What the record holds of one trial's checkpoint.

    ``soundness``: the arrays of that measure by name, each (N,); empty where it was not run. ``budget``: the norm and eps that
    the table is about; None where nothing was attacked.
    """

    attacks: Sequence[Attack] = ()
    soundness: Mapping[str, NDArray[np.float64]] = MappingProxyType({})
    budget: tuple[str, float] | None = None

    @property
    def within(self) -> list[Attack]:
        """The attacks of that budget."""
        return [a for a in self.attacks if self.budget and a.budget == self.budget]
