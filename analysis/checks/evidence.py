"""What the checklist of obfuscated gradients compares, read from the record: the one place that reads its rows."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.record.columns import Codes, codes, combined, numbers, texts
from analysis.record.fields import AttackFields
from analysis.record.load import Record, parsed

Floats = NDArray[np.float64]

#: The name in the record of the measure that tests a network's loss and gradients.
SOUNDNESS = "soundness"

#: The columns that are the same in all evaluations of one attack.
_TRAITS = ("attack_spec", "attack", "examples", "sees", "iterates", "ensemble", "gradient_steps")


class Attack(NamedTuple):
    """An attack and its traits.

    ``key``: by which a table's columns name it. ``examples``: how many were attacked. ``sees``: what the attack may see of the
    network: ``gradients``, ``scores``, ``decisions`` or ``nothing``. ``iterates``: whether it takes many steps. ``ensemble``:
    whether it consists of several kinds of attack, and so is evidence for none of them. ``steps``: its gradient steps; None
    where it counts none.
    """

    spec: AttackFields
    key: str
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


@dataclass(frozen=True)
class Evidence:
    """The evidence of one checkpoint of some seeds of an arm, which were evaluated alike.

    Attributes:
        seeds: their names.
        attacks: what each was attacked by.
        accuracy: (seeds, attacks), in percent.
        soundness: for each seed the arrays of the measure ``soundness`` by name, each (N,); empty where it was not run.
        budget: the norm and eps of the table's main attacks; None where nothing was attacked.
        shown: keys of the attacks that the study's own columns show.
    """

    seeds: tuple[str, ...]
    attacks: tuple[Attack, ...] = ()
    accuracy: Floats = field(default_factory=lambda: np.empty((0, 0)))
    soundness: tuple[Mapping[str, Floats], ...] = ()
    budget: tuple[str, float] | None = None
    shown: frozenset[str] = frozenset()

    def where(self, test: Callable[[Attack], bool]) -> list[int]:
        """Select attacks by their places in ``attacks``."""
        return [place for place, attack in enumerate(self.attacks) if test(attack)]

    def within(self, test: Callable[[Attack], bool]) -> list[int]:
        """Select attacks with the main budget."""
        return self.where(lambda attack: self.budget is not None and attack.budget == self.budget and test(attack))

    def lowest(self, attacks: Sequence[int]) -> Floats:
        """Return each seed's lowest accuracy (seeds,) under some attacks."""
        return np.asarray(self.accuracy[:, attacks].min(axis=1))

    def fewest(self, attacks: Sequence[int]) -> int:
        """Return the number of examples of the attack that had the fewest."""
        return min(self.attacks[place].examples for place in attacks)


class Reader:
    """Reads the evidence of one checkpoint from the record.

    Of the attacks those on the whole test set: an accuracy on a sample of it is compared with no other.
    """

    def __init__(self, record: Record, checkpoint: str) -> None:
        e = record.tables["evaluations"]
        spec = codes(e, "attack_spec")
        specs = parsed(spec, AttackFields, "attack_spec")
        whole = np.array([fields.on_every_example for fields in specs])[spec.of]
        rows = np.flatnonzero(whole & (texts(e, "checkpoint") == checkpoint) & (texts(e, "head") == "final"))
        traits = [spec, *(_coded(e, name) for name in _TRAITS[1:])]
        kinds, kind = np.unique(combined(*traits)[rows], return_inverse=True)
        first = {code: row for row, code in zip(rows[::-1].tolist(), kind[::-1].tolist(), strict=True)}
        self._attacks = [_attack(e, specs[spec.of[first[code]]], first[code]) for code in range(len(kinds))]
        trial = codes(e, "trial")
        order = np.lexsort((kind, trial.of[rows]))
        self._kinds, self._accuracy = kind[order], 100 * numbers(e, "accuracy")[rows][order]
        found, starts = np.unique(trial.of[rows][order], return_index=True)
        ends = [*starts.tolist(), len(order)][1:]
        self._of_trial = {
            trial.texts[code]: slice(start, end) for code, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True)
        }
        self._sound = _soundness(record, checkpoint)

    def read(self, trials: Mapping[str, str]) -> list[Evidence]:
        """Read the evidence of an arm's trials (keys by seed): of those together that were evaluated alike."""
        alike: dict[bytes, list[str]] = {}
        for seed, trial in trials.items():
            alike.setdefault(self._kinds[self._of(trial)].tobytes(), []).append(seed)
        return [
            Evidence(
                tuple(seeds),
                tuple(self._attacks[kind] for kind in self._kinds[self._of(trials[seeds[0]])]),
                np.stack([self._accuracy[self._of(trials[seed])] for seed in seeds]),
                tuple(self._sound.get(trials[seed], {}) for seed in seeds),
            )
            for seeds in alike.values()
        ]

    def _of(self, trial: str) -> slice:
        return self._of_trial.get(trial, slice(0, 0))


def _attack(evaluations: pa.Table, spec: AttackFields, row: int) -> Attack:
    key, examples, sees, iterates, ensemble, steps = (evaluations[name][row].as_py() for name in _TRAITS[1:])
    return Attack(spec, str(key), int(examples), str(sees), bool(iterates), bool(ensemble), steps)


def _coded(evaluations: pa.Table, name: str) -> Codes:
    """Code a column of texts or whole numbers."""
    column = evaluations.select([name])
    return codes(column.cast(pa.schema([(name, pa.string())])), name)


def _soundness(record: Record, checkpoint: str) -> dict[str, dict[str, Floats]]:
    """Collect the arrays of the measure ``soundness`` by trial and name."""
    m = record.tables["measures"]
    found: dict[str, dict[str, Floats]] = {}
    trial, array = texts(m, "trial"), texts(m, "array")
    for row in np.flatnonzero((texts(m, "checkpoint") == checkpoint) & (texts(m, "measure_name") == SOUNDNESS)).tolist():
        values = m["values"][row].values.to_numpy(zero_copy_only=False)
        found.setdefault(trial[row], {})[array[row]] = np.asarray(values, np.float64)
    return found
