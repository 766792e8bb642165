"""What the checklist of obfuscated gradients compares, read from the record of one trial: the one place that reads its rows."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.record.fields import AttackFields

#: The columns of the record's evaluations that :meth:`Attack.of` reads.
READ = ["attack_spec", "accuracy", "examples", "sees", "iterates", "ensemble", "gradient_steps"]

#: The name in the record of the measure that tests a network's loss and gradients.
SOUNDNESS = "soundness"


class Attack(NamedTuple):
    """One evaluation and the traits of its attack.

    ``accuracy``: in percent, of so many ``examples``. ``sees``: what the attack may see of the network: ``gradients``,
    ``scores``, ``decisions`` or ``nothing``. ``iterates``: whether it takes many steps. ``ensemble``: whether it consists of
    several kinds of attack, and so is evidence for none of them. ``steps``: its gradient steps; None where it counts none.
    """

    spec: AttackFields
    accuracy: float
    examples: int
    sees: str
    iterates: bool
    ensemble: bool
    steps: int | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """Read an evaluation from a ``row`` of the record, whose attributes are :data:`READ`."""
        return cls(
            spec=row.attack_spec,
            accuracy=100 * row.accuracy,
            examples=int(row.examples),
            sees=str(row.sees),
            iterates=bool(row.iterates),
            ensemble=bool(row.ensemble),
            steps=None if pd.isna(row.gradient_steps) else int(row.gradient_steps),
        )

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def budget(self) -> tuple[str, float] | None:
        """Norm and eps; None for natural images."""
        return self.spec.budget

    @property
    def white_box(self) -> bool:
        """Whether the attack uses the network's gradients alone."""
        return self.sees == "gradients" and not self.ensemble

    @property
    def iterated(self) -> bool:
        """Whether the attack follows the network's gradients in many steps."""
        return self.white_box and self.iterates

    @property
    def single_step(self) -> bool:
        """Whether the attack follows the network's gradients in one step."""
        return self.white_box and not self.iterates and self.steps == 1

    @property
    def gradient_free(self) -> bool:
        """Whether the attack sees the network's scores or decisions alone."""
        return self.sees in {"scores", "decisions"} and not self.ensemble

    @property
    def adaptive(self) -> bool:
        """Whether the attack takes inserted modules or another view into account, and not only the plain final prediction."""
        return (self.spec.get("beta_atk", "0"), self.spec.get("view", "plain")) != ("0", "plain")

    def without(self, *fields: str) -> str:
        """Write the attack's fields but for some as JSON, to compare attacks by."""
        return json.dumps({name: value for name, value in self.spec.items() if name not in fields}, sort_keys=True)


class Evidence(NamedTuple):
    """The evidence of one checkpoint of a trial.

    ``soundness``: the arrays of the measure ``soundness`` by name, each (N,); empty where it was not run. ``budget``: the norm
    and eps of the table's main attacks; None where nothing was attacked.
    """

    attacks: Sequence[Attack] = ()
    soundness: Mapping[str, NDArray[np.float64]] = MappingProxyType({})
    budget: tuple[str, float] | None = None

    @property
    def within(self) -> list[Attack]:
        """The attacks with the main budget."""
        return [a for a in self.attacks if self.budget and a.budget == self.budget]


def read(evaluations: pd.DataFrame, measures: pd.DataFrame) -> dict[str, Evidence]:
    """Collect the evidence of every trial, by its key, from the record's frames of one checkpoint.

    Of the attacks those on the whole test set: an accuracy on a sample of it is compared with no other.
    """
    final = evaluations[evaluations["head"] == "final"].groupby("trial")
    sound = measures[measures["measure_name"] == SOUNDNESS].groupby("trial")
    attacks = {
        str(trial): [attack for attack in map(Attack.of, rows[READ].itertuples()) if attack.spec.on_every_example]
        for trial, rows in final
    }
    soundness = {str(trial): dict(zip(rows["array"], rows["values"], strict=True)) for trial, rows in sound}
    return {t: Evidence(attacks.get(t, []), soundness.get(t, {})) for t in attacks.keys() | soundness.keys()}
