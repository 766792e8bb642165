"""Whether an arm's robustness can be believed: the checklist of obfuscated gradients, from the evaluations in the record.

After Athalye et al. (ICML 2018, section 3.1) and Carlini et al. ("On Evaluating Adversarial Robustness", 2019).

Every item looks at one trial's evaluations of one checkpoint, and an arm's is that of its worst seed. Which attacks an item
needs is said in :data:`ITEMS`; where they were not run, the item says so and nothing else. Accuracies are in percent.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import pandas as pd

from analysis.load import Record
from analysis.schema import Manifest, ManifestArm

Status = Literal["passed", "failed", "not run"]

#: Points by which a stronger attack may be behind a weaker one, and examples if these are more: what random starts amount to.
TOLERANCE, EXAMPLES = 1.0, 3
#: Points that an attack may leave to AutoAttack, or the plain attack to adaptive ones, before it overstates robustness.
GAP = 3.0
#: An L-inf budget with which every image can be turned into grey, so that no classifier can be right.
UNBOUNDED = 0.5

#: Attacks that see no gradients of the network: some ask it for scores or decisions, the others for nothing at all.
GRADIENT_FREE = frozenset({"square", "nattack", "boundary"})
BLIND = frozenset({"transfer", "noise"})
SINGLE_STEP = frozenset({"fgsm"})
#: Ensembles, which are judged by the others and do not judge them.
REFERENCE = frozenset({"autoattack"})


@dataclass(frozen=True)
class Item:
    """``figures``: what was compared, in percent; "" where the attacks were not run."""

    name: str
    status: Status
    figures: str = ""


class Attack(NamedTuple):
    """One evaluation: the attack's fields, the percentage that it leaves right, and of how many examples."""

    spec: Mapping[str, Any]
    accuracy: float
    examples: int

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def budget(self) -> tuple[str, float] | None:
        """Norm and eps; None for natural images."""
        spec = self.spec.get("attack", self.spec)
        return (str(spec.get("norm", "linf")), float(spec["eps"])) if "eps" in spec else None

    @property
    def iterated(self) -> bool:
        return self.name not in GRADIENT_FREE | BLIND | SINGLE_STEP | REFERENCE | {"natural"}

    @property
    def adaptive(self) -> bool:
        """Whether it aims at more than the final prediction of the network as it is."""
        return self.spec.get("beta_atk", "0") not in {"0", "own"} or self.spec.get("view", "plain") != "plain"

    def without(self, *fields: str) -> str:
        """Everything but some fields, to compare by."""
        return json.dumps({name: value for name, value in self.spec.items() if name not in fields}, sort_keys=True)


class _Verdict(NamedTuple):
    """``excess``: points beyond what is allowed; above 0 is a failure."""

    excess: float
    figures: str


_Check = Callable[[Sequence[Attack], tuple[str, float]], _Verdict | None]


def _allowed(points: float, attacks: Sequence[Attack]) -> float:
    """So many points, or more where the test set is so small that a few examples are more."""
    return max(points, 100 * EXAMPLES / min(a.examples for a in attacks))


def _not_weaker(strong: Sequence[Attack], weak: Sequence[Attack], names: tuple[str, str]) -> _Verdict | None:
    """The best of ``strong`` leaves no more right than the best of ``weak``."""
    if not strong or not weak:
        return None
    ours, theirs = (min(a.accuracy for a in attacks) for attacks in (strong, weak))
    return _Verdict(ours - theirs - _allowed(TOLERANCE, strong), f"{names[0]} {ours:.2f}, {names[1]} {theirs:.2f}")


def _within(attacks: Sequence[Attack], budget: tuple[str, float]) -> list[Attack]:
    return [a for a in attacks if a.budget == budget]


def _iterative(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    there = _within(attacks, budget)
    single = [a for a in there if a.name in SINGLE_STEP]
    return _not_weaker([a for a in there if a.iterated], single, ("iterated", "single-step"))


def _white_box(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    there = _within(attacks, budget)
    blind = [a for a in there if a.name in BLIND]
    return _not_weaker([a for a in there if a.name not in GRADIENT_FREE | BLIND], blind, ("white-box", "black-box"))


def _gradients(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    there = _within(attacks, budget)
    free = [a for a in there if a.name in GRADIENT_FREE]
    return _not_weaker([a for a in there if a.iterated], free, ("gradient-based", "gradient-free"))


def _falling(attacks: Sequence[Attack], field: str) -> _Verdict | None:
    """Of attacks that differ in ``field`` alone, more of it leaves no more right."""
    ladders: dict[str, list[Attack]] = {}
    for attack in attacks:
        if field in attack.spec:
            # A step is a share of eps, so it goes with it.
            ladders.setdefault(attack.without(field, "step") if field == "eps" else attack.without(field), []).append(attack)
    verdicts = []
    for ladder in ladders.values():
        rungs = sorted({float(a.spec[field]): a.accuracy for a in ladder}.items())
        for (less, before), (more, after) in pairwise(rungs):
            name = ladder[0].name
            figures = f"{name} at {field} {less:.4g}: {before:.2f}, at {more:.4g}: {after:.2f}"
            verdicts.append(_Verdict(after - before - _allowed(TOLERANCE, ladder), figures))
    return max(verdicts, default=None)


def _iterations(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    return _falling(_within(attacks, budget), "iterations")


def _eps(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    return _falling([a for a in attacks if a.iterated], "eps")


def _unbounded(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    there = [a for a in attacks if a.iterated and a.budget and a.budget[0] == "linf" and a.budget[1] >= UNBOUNDED]
    if not there:
        return None
    lowest = min(a.accuracy for a in there)
    return _Verdict(lowest - _allowed(TOLERANCE, there), f"eps {max(a.budget[1] for a in there if a.budget):.4g}: {lowest:.2f}")


def _split(attacks: Sequence[Attack], budget: tuple[str, float]) -> tuple[list[Attack], list[Attack]]:
    """Iterated attacks that were run both ways: adaptive, and on the final prediction of the network as it is."""
    there = [a for a in _within(attacks, budget) if a.iterated]
    kinds = [{a.without("beta_atk", "view") for a in there if a.adaptive == way} for way in (True, False)]
    both = kinds[0] & kinds[1]
    compared = [a for a in there if a.without("beta_atk", "view") in both]
    plain = [a for a in compared if not a.adaptive and a.spec.get("beta_atk", "0") == "0"]
    return [a for a in compared if a.adaptive], plain or [a for a in compared if not a.adaptive]


def _adaptive(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    return _not_weaker(*_split(attacks, budget), ("adaptive", "plain"))


def _plain(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    adaptive, plain = _split(attacks, budget)
    if not adaptive or not plain:
        return None
    ours, theirs = (min(a.accuracy for a in attacks) for attacks in (plain, adaptive))
    return _Verdict(ours - theirs - _allowed(GAP, plain), f"plain {ours:.2f}, adaptive {theirs:.2f}")


def _autoattack(attacks: Sequence[Attack], budget: tuple[str, float]) -> _Verdict | None:
    there = _within(attacks, budget)
    reference, others = ([a for a in there if (a.name in REFERENCE) == way] for way in (True, False))
    if not reference or not others:
        return None
    ours, theirs = (min(a.accuracy for a in attacks) for attacks in (others, reference))
    return _Verdict(ours - theirs - _allowed(GAP, there), f"best other {ours:.2f}, AutoAttack {theirs:.2f}")


#: What is checked, in the order it is shown; each needs what its name says.
ITEMS: Mapping[str, _Check] = {
    "iterative attacks are no weaker than single-step ones": _iterative,
    "white-box attacks are no weaker than black-box ones": _white_box,
    "more iterations leave no more right": _iterations,
    "a larger eps leaves no more right": _eps,
    "an unbounded attack leaves nothing right": _unbounded,
    "gradient-based attacks are no weaker than gradient-free ones": _gradients,
    "adaptive attacks are no weaker than the plain one": _adaptive,
    f"the plain attack is within {GAP:g} points of adaptive ones": _plain,
    f"the best other attack is within {GAP:g} points of AutoAttack": _autoattack,
}


def check(record: Record, manifest: Manifest, checkpoint: str) -> dict[tuple[str, ...], tuple[Item, ...]]:
    """The checklist of every arm, by its labels, at ``checkpoint``: ``last`` or ``best``."""
    evaluations = record.evaluations
    final = evaluations[(evaluations["head"] == "final") & (evaluations["checkpoint"] == checkpoint)]
    by_trial = {str(trial): _attacks(rows) for trial, rows in final.groupby("trial")}
    return {arm.labels: _arm(arm, by_trial) for arm in manifest.arms}


def failures(items: Iterable[Item]) -> tuple[Item, ...]:
    """Those that failed."""
    return tuple(item for item in items if item.status == "failed")


def _attacks(rows: pd.DataFrame) -> list[Attack]:
    found = zip(rows["attack_spec"], rows["accuracy"], rows["ranks"], strict=True)
    return [Attack(json.loads(spec), 100 * accuracy, len(ranks)) for spec, accuracy, ranks in found]


def _arm(arm: ManifestArm, by_trial: Mapping[str, Sequence[Attack]]) -> tuple[Item, ...]:
    seeds = {seed: by_trial.get(trial, []) for seed, trial in arm.trials.items()}
    budget = _main_budget([attack for attacks in seeds.values() for attack in attacks])
    items = []
    for name, test in ITEMS.items():
        found = {seed: budget and test(attacks, budget) for seed, attacks in seeds.items()}
        verdicts = [(verdict, seed) for seed, verdict in found.items() if verdict]
        if not verdicts:
            items.append(Item(name, "not run"))
            continue
        worst, seed = max(verdicts)
        where = f" (seed {seed})" if len(seeds) > 1 else ""
        items.append(Item(name, "failed" if worst.excess > 0 else "passed", worst.figures + where))
    return tuple(items)


def _main_budget(attacks: Sequence[Attack]) -> tuple[str, float] | None:
    """The budget that most attacks had: the one that the table is about."""
    counts = Counter(attack.budget for attack in attacks if attack.budget)
    return max(counts, key=lambda budget: (counts[budget], budget)) if counts else None
