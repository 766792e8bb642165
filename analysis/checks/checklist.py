"""The checklist of every arm of a study: each item's status, which is that of the arm's worst seed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.checks.evidence import Evidence, Reader
from analysis.checks.items import ITEMS, Comparison
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
    reader = Reader(record, checkpoint)
    own = {column.label for column in manifest.columns if not column.added and column.kind in {"accuracy", "ensemble"}}
    return {arm.labels: _arm(arm, own & arm.reads.keys(), reader.read(arm.trials)) for arm in manifest.arms}


def failures(items: Iterable[Item]) -> tuple[Item, ...]:
    """Select the items that failed."""
    return tuple(item for item in items if item.status == "failed")


def _arm(arm: ManifestArm, own: Iterable[str], evidence: Sequence[Evidence]) -> tuple[Item, ...]:
    """Check an arm; ``own``: labels of the study's columns that show accuracies of it."""
    budget, shown = _main_budget(evidence), frozenset(read.attack for label in own for read in arm.reads[label])
    seen = [replace(each, budget=budget, shown=shown) for each in evidence]
    items = []
    for name, test in ITEMS.items():
        verdicts = [verdict for each in seen for compared in test(each) if (verdict := _worst(each, compared))]
        if not verdicts:
            items.append(Item(name, "not run"))
            continue
        excess, figures, seed = max(verdicts)
        where = f" (seed {seed})" if len(arm.trials) > 1 else ""
        items.append(Item(name, "failed" if excess > 0 else "passed", figures + where))
    return tuple(items)


def _worst(seen: Evidence, compared: Comparison) -> tuple[float, str, str] | None:
    """Return the excess, figures and seed of the worst seed; of equal ones the last in the order of figures and names."""
    worst = float(compared.excess.max())
    if worst == -np.inf:
        return None
    figures, seed = max(
        (compared.figures(place), seen.seeds[place]) for place in np.flatnonzero(compared.excess == worst).tolist()
    )
    return worst, figures, seed


def _main_budget(evidence: Iterable[Evidence]) -> tuple[str, float] | None:
    """Find the budget (norm and eps) that most attacks of all seeds had, which is that of the table."""
    counts: Counter[tuple[str, float]] = Counter()
    for seen in evidence:
        for attack in seen.attacks:
            if attack.budget:
                counts[attack.budget] += len(seen.seeds)
    return max(counts, key=lambda budget: (counts[budget], budget)) if counts else None
