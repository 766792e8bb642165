"""The items of the checklist: what is wrong with the evidence of one trial's checkpoint, each by its name."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from analysis.checks.evidence import Attack, Evidence

#: Points, or examples where these are more, by which a stronger attack may be behind a weaker one: the effect of random starts.
TOLERANCE, EXAMPLES = 1.0, 3
#: Points by which the best attack may be behind AutoAttack, or the plain attack behind adaptive ones.
GAP = 3.0
#: An L-inf budget within which every image can become the same grey, so that no classifier can be right.
UNBOUNDED = 0.5
#: The smallest partial derivative that counts as one: a device may flush what is below float32's smallest normal number to 0.
SMALLEST = float(np.finfo(np.float32).tiny)
#: The difference allowed between two forward passes, as a share of the largest logit: float32 sums in another order.
ROUNDING = 1e-5


class Verdict(NamedTuple):
    """What an item says.

    ``excess``: points beyond what is allowed; above 0 is a failure. ``figures``: what was compared, in words.
    """

    excess: float
    figures: str


#: From the evidence of one trial's checkpoint to a verdict; None where what it needs was not run.
Check = Callable[[Evidence], Verdict | None]


def _allowed(points: float, examples: int) -> float:
    """Allow ``points``, or the points that :data:`EXAMPLES` of so few ``examples`` amount to where these are more."""
    return max(points, 100 * EXAMPLES / examples)


def _fewest(attacks: Sequence[Attack]) -> int:
    return min(a.examples for a in attacks)


def _gradient(seen: Evidence) -> Verdict | None:
    """Test gradients of the examples that are classified rightly: a wrong one needs no attack."""
    if not seen.soundness:
        return None
    right = seen.soundness["right"] > 0
    infinite = 100 * float((seen.soundness["finite"] == 0).mean())
    flat = 100 * float((seen.soundness["gradient"][right] < SMALLEST).mean()) if right.any() else 0.0
    figures = f"loss not finite for {infinite:.2f}, gradient 0 for {flat:.2f} of what is right"
    return Verdict(infinite or flat - _allowed(TOLERANCE, max(1, int(right.sum()))), figures)


def _steady(seen: Evidence) -> Verdict | None:
    if not seen.soundness:
        return None
    # NaN logits count as an infinite difference.
    apart = float(np.nan_to_num(seen.soundness["disagreement"], nan=np.inf).max())
    return Verdict(100 * (apart - ROUNDING), f"logits differ by up to {100 * apart:.4g} of the largest")


def _not_weaker(strong: Sequence[Attack], weak: Sequence[Attack], names: tuple[str, str]) -> Verdict | None:
    """Test that the best of ``strong`` leaves no more examples right than the best of ``weak``."""
    if not strong or not weak:
        return None
    ours, theirs = (min(a.accuracy for a in attacks) for attacks in (strong, weak))
    return Verdict(ours - theirs - _allowed(TOLERANCE, _fewest(strong)), f"{names[0]} {ours:.2f}, {names[1]} {theirs:.2f}")


def _iterative(seen: Evidence) -> Verdict | None:
    single = [a for a in seen.within if a.single_step]
    return _not_weaker([a for a in seen.within if a.iterated], single, ("iterated", "single-step"))


def _white_box(seen: Evidence) -> Verdict | None:
    blind = [a for a in seen.within if a.sees == "nothing"]
    white = [a for a in seen.within if a.white_box]
    return _not_weaker(white, blind, ("white-box", "black-box"))


def _gradients(seen: Evidence) -> Verdict | None:
    free = [a for a in seen.within if a.gradient_free]
    return _not_weaker([a for a in seen.within if a.iterated], free, ("gradient-based", "gradient-free"))


def _falling(attacks: Sequence[Attack], field: str) -> Verdict | None:
    """Test that of attacks that differ only in ``field``, those with more of it leave no more examples right."""
    ladders: dict[str, list[Attack]] = {}
    for attack in attacks:
        if field in attack.spec:
            # Step sizes are shares of eps, so attacks that differ in eps differ in their step too.
            ladders.setdefault(attack.without(field, "step") if field == "eps" else attack.without(field), []).append(attack)
    verdicts = []
    for ladder in ladders.values():
        rungs = sorted({float(a.spec[field]): a.accuracy for a in ladder}.items())
        for (less, before), (more, after) in pairwise(rungs):
            name = ladder[0].name
            figures = f"{name} at {field} {less:.4g}: {before:.2f}, at {more:.4g}: {after:.2f}"
            verdicts.append(Verdict(after - before - _allowed(TOLERANCE, _fewest(ladder)), figures))
    return max(verdicts, default=None)


def _iterations(seen: Evidence) -> Verdict | None:
    return _falling(seen.within, "iterations")


def _eps(seen: Evidence) -> Verdict | None:
    return _falling([a for a in seen.attacks if a.iterated], "eps")


def _unbounded(seen: Evidence) -> Verdict | None:
    there = [a for a in seen.attacks if a.iterated and a.budget and a.budget[0] == "linf" and a.budget[1] >= UNBOUNDED]
    if not there:
        return None
    lowest, most = min(a.accuracy for a in there), max(a.budget[1] for a in there if a.budget)
    return Verdict(lowest - _allowed(TOLERANCE, _fewest(there)), f"eps {most:.4g}: {lowest:.2f}")


def _split(seen: Evidence) -> tuple[list[Attack], list[Attack]]:
    """Pair the iterated attacks that were run both ways: adaptive, and plain (on the final prediction of the plain network)."""
    there = [a for a in seen.within if a.iterated]
    kinds = [{a.without("beta_atk", "view") for a in there if a.adaptive == way} for way in (True, False)]
    compared = [a for a in there if a.without("beta_atk", "view") in kinds[0] & kinds[1]]
    return [a for a in compared if a.adaptive], [a for a in compared if not a.adaptive]


def _adaptive(seen: Evidence) -> Verdict | None:
    return _not_weaker(*_split(seen), ("adaptive", "plain"))


def _plain(seen: Evidence) -> Verdict | None:
    adaptive, plain = _split(seen)
    if not adaptive or not plain:
        return None
    ours, theirs = (min(a.accuracy for a in attacks) for attacks in (plain, adaptive))
    return Verdict(ours - theirs - _allowed(GAP, _fewest(plain)), f"plain {ours:.2f}, adaptive {theirs:.2f}")


def _autoattack(seen: Evidence) -> Verdict | None:
    there = seen.within
    reference, others = ([a for a in there if a.ensemble == way] for way in (True, False))
    if not reference or not others:
        return None
    ours, theirs = (min(a.accuracy for a in attacks) for attacks in (others, reference))
    return Verdict(ours - theirs - _allowed(GAP, _fewest(there)), f"best other {ours:.2f}, AutoAttack {theirs:.2f}")


#: The items of the checklist by name, in the order in which they are shown.
ITEMS: Mapping[str, Check] = {
    "the loss is finite and has a gradient": _gradient,
    "two forward passes agree": _steady,
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
