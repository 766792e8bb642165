"""The checklist of every arm of a study: each item's status, which is that of the arm's worst seed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.checks.evidence import Attack, Evidence, read
from analysis.checks.items import ITEMS
from analysis.record.load import Record
from analysis.record.manifest import Manifest, ManifestArm

ItemStatus = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class Item:
    """One item of the checklist. ``figures``: what was compared, in percent; "" where that was not run."""

    name: str
    status: ItemStatus
    figures: str = ""


def check(record: Record, manifest: Manifest, checkpoint: str) -> dict[tuple[str, ...], tuple[Item, ...]]:
    """Check every arm of a study at a checkpoint (``last`` or ``best``); returns the items by the arm's labels."""
    by_trial = read(*(frame[frame["checkpoint"] == checkpoint] for frame in (record.evaluations, record.measures)))
    return {arm.labels: _arm(arm, by_trial) for arm in manifest.arms}


def failures(items: Iterable[Item]) -> tuple[Item, ...]:
    """Select the items that failed."""
    return tuple(item for item in items if item.status == "failed")


def _arm(arm: ManifestArm, by_trial: Mapping[str, Evidence]) -> tuple[Item, ...]:
    seeds = {seed: by_trial.get(trial, Evidence()) for seed, trial in arm.trials.items()}
    budget = _main_budget([attack for seen in seeds.values() for attack in seen.attacks])
    items = []
    for name, test in ITEMS.items():
        found = {seed: test(seen._replace(budget=budget)) for seed, seen in seeds.items()}
        verdicts = [(verdict, seed) for seed, verdict in found.items() if verdict]
        if not verdicts:
            items.append(Item(name, "not run"))
            continue
        worst, seed = max(verdicts)
        where = f" (seed {seed})" if len(seeds) > 1 else ""
        items.append(Item(name, "failed" if worst.excess > 0 else "passed", worst.figures + where))
    return tuple(items)


def _main_budget(attacks: Sequence[Attack]) -> tuple[str, float] | None:
    """Find the budget (norm and eps) that most attacks had, which is that of the table."""
    counts = Counter(attack.budget for attack in attacks if attack.budget)
    return max(counts, key=lambda budget: (counts[budget], budget)) if counts else None
