"""The items of the checklist: what is wrong with the evidence of an arm's checkpoint, each by its name."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from analysis.checks.evidence import Evidence, Floats

#: Points by which a stronger attack may be behind a weaker one: the effect of random starts.
TOLERANCE = 1.0
#: Points by which the best attack may be behind AutoAttack, the plain attack behind adaptive ones, or a table's columns behind
#: all attacks.
GAP = 3.0
#: Exceptions allowed in what must be so of every example, where so many are more than :data:`TOLERANCE` points.
EXAMPLES = 3
#: The share of the examples that two attacks on an honest network decide differently, at most, and the standard normal quantile
#: of the level 1 %: a difference beyond an item's points fails it where a one-sided test finds it, for which the variance of
#: the difference of two accuracies on the same N examples is DISCORDANT / N.
DISCORDANT, QUANTILE = 0.05, 2.326
#: An L-inf budget within which every image can become the same grey, so that no classifier can be right.
UNBOUNDED = 0.5
#: The smallest partial derivative that counts as one: a device may flush what is below float32's smallest normal number to 0.
SMALLEST = float(np.finfo(np.float32).tiny)
#: The difference allowed between two forward passes, as a share of the largest logit: float32 sums in another order.
ROUNDING = 1e-5


class Comparison(NamedTuple):
    """What an item compared of each seed.

    ``excess``: (seeds,), points beyond what is allowed; above 0 is a failure, -inf where what it needs was not run.
    ``figures``: says in words what was compared of a seed, by its place.
    """

    excess: Floats
    figures: Callable[[int], str]


#: From the evidence of some seeds to comparisons, of which the worst counts; none where what it needs was not run.
Check = Callable[[Evidence], Iterator[Comparison]]


def margin(points: float, examples: int) -> float:
    """Return the points by which an accuracy may exceed another on as many ``examples``: ``points`` and the sampling error."""
    return points + 100 * QUANTILE * math.sqrt(DISCORDANT / examples)


def _exceptions(examples: int) -> float:
    """Return the points that :data:`TOLERANCE` allows, or :data:`EXAMPLES` of so few ``examples`` where these are more."""
    return max(TOLERANCE, 100 * EXAMPLES / examples)


def _measured(seen: Evidence, test: Callable[[Mapping[str, Floats]], tuple[float, str]]) -> Iterator[Comparison]:
    """Test the arrays of the measure ``soundness`` of each seed that has them."""
    found = [test(arrays) if arrays else (-np.inf, "") for arrays in seen.soundness]
    yield Comparison(np.array([excess for excess, _ in found], np.float64), lambda seed: found[seed][1])


def _gradient(seen: Evidence) -> Iterator[Comparison]:
    """Test gradients of the examples that are classified rightly: a wrong one needs no attack."""

    def test(sound: Mapping[str, Floats]) -> tuple[float, str]:
        right = sound["right"] > 0
        infinite = 100 * float((sound["finite"] == 0).mean())
        flat = 100 * float((sound["gradient"][right] < SMALLEST).mean()) if right.any() else 0.0
        figures = f"loss not finite for {infinite:.2f}, gradient 0 for {flat:.2f} of what is right"
        return infinite or flat - _exceptions(max(1, int(right.sum()))), figures

    return _measured(seen, test)


def _steady(seen: Evidence) -> Iterator[Comparison]:
    def test(sound: Mapping[str, Floats]) -> tuple[float, str]:
        # NaN logits count as an infinite difference.
        apart = float(np.nan_to_num(sound["disagreement"], nan=np.inf).max())
        return 100 * (apart - ROUNDING), f"logits differ by up to {100 * apart:.4g} of the largest"

    return _measured(seen, test)


def _not_weaker(
    seen: Evidence, strong: Sequence[int], weak: Sequence[int], names: tuple[str, str], points: float = TOLERANCE
) -> Iterator[Comparison]:
    """Test that the best of ``strong`` leaves no more examples right than the best of ``weak``, but for some ``points``."""
    if strong and weak:
        ours, theirs = seen.lowest(strong), seen.lowest(weak)
        yield Comparison(
            ours - theirs - margin(points, seen.fewest([*strong, *weak])),
            lambda seed: f"{names[0]} {ours[seed]:.2f}, {names[1]} {theirs[seed]:.2f}",
        )


def _iterative(seen: Evidence) -> Iterator[Comparison]:
    single = seen.within(lambda attack: attack.single_step)
    return _not_weaker(seen, seen.within(lambda attack: attack.iterated), single, ("iterated", "single-step"))


def _white_box(seen: Evidence) -> Iterator[Comparison]:
    blind = seen.within(lambda attack: attack.sees == "nothing")
    return _not_weaker(seen, seen.within(lambda attack: attack.white_box), blind, ("white-box", "black-box"))


def _gradients(seen: Evidence) -> Iterator[Comparison]:
    free = seen.within(lambda attack: attack.gradient_free)
    return _not_weaker(seen, seen.within(lambda attack: attack.iterated), free, ("gradient-based", "gradient-free"))


def _ladders(seen: Evidence, attacks: Sequence[int], field: str) -> Iterator[tuple[int, int]]:
    """Yield pairs of attacks that differ only in ``field`` and in their steps, which fit it; the one with less of it first."""
    ladders: dict[str, list[tuple[float, int]]] = {}
    for place in attacks:
        attack = seen.attacks[place]
        if field in attack.spec:
            ladders.setdefault(attack.without(field, "step"), []).append((float(attack.spec[field]), place))
    for ladder in ladders.values():
        for (less, one), (more, other) in combinations(sorted(ladder), 2):
            if less < more:
                yield one, other


def _falling(seen: Evidence, pairs: Iterable[tuple[int, int]], field: str) -> Iterator[Comparison]:
    """Test that of each pair the second attack leaves no more examples right than the first."""
    for one, other in pairs:
        less, more = (seen.attacks[place].spec[field] for place in (one, other))
        yield _rung(seen, f"{seen.attacks[one].name} at {field} {less:.4g}, at {more:.4g}", one, other)


def _rung(seen: Evidence, names: str, one: int, other: int) -> Comparison:
    before, after = seen.accuracy[:, one], seen.accuracy[:, other]
    excess = after - before - margin(TOLERANCE, seen.fewest([one, other]))
    return Comparison(excess, lambda seed: f"{names}: {before[seed]:.2f}, {after[seed]:.2f}")


def _iterations(seen: Evidence) -> Iterator[Comparison]:
    """Compare runs of their own: with one step size the shorter attack is read out of the longer one's run, and never fails."""
    pairs = _ladders(seen, seen.within(lambda attack: attack.iterated), "iterations")
    apart = ((a, b) for a, b in pairs if seen.attacks[a].spec.get("step") != seen.attacks[b].spec.get("step"))
    return _falling(seen, apart, "iterations")


def _eps(seen: Evidence) -> Iterator[Comparison]:
    return _falling(seen, _ladders(seen, seen.where(lambda attack: attack.iterated), "eps"), "eps")


def _unbounded(seen: Evidence) -> Iterator[Comparison]:
    budgets = [attack.budget if attack.iterated else None for attack in seen.attacks]
    there = [place for place, of in enumerate(budgets) if of and of[0] == "linf" and of[1] >= UNBOUNDED]
    if there:
        lowest, most = seen.lowest(there), max(of[1] for of in map(budgets.__getitem__, there) if of)
        allowed = _exceptions(seen.fewest(there))
        yield Comparison(lowest - allowed, lambda seed: f"eps {most:.4g}: {lowest[seed]:.2f}")


def _split(seen: Evidence) -> tuple[list[int], list[int]]:
    """Pair the iterated attacks that were run both ways: adaptive, and plain (on the final prediction of the plain network)."""
    there = seen.within(lambda attack: attack.iterated)
    of = {place: seen.attacks[place].without("beta_atk", "view") for place in there}
    ways = [[place for place in there if seen.attacks[place].adaptive == way] for way in (True, False)]
    both = {of[place] for place in ways[0]} & {of[place] for place in ways[1]}
    adaptive, plain = ([place for place in way if of[place] in both] for way in ways)
    return adaptive, plain


def _adaptive(seen: Evidence) -> Iterator[Comparison]:
    return _not_weaker(seen, *_split(seen), ("adaptive", "plain"))


def _plain(seen: Evidence) -> Iterator[Comparison]:
    adaptive, plain = _split(seen)
    return _not_weaker(seen, plain, adaptive, ("plain", "adaptive"), GAP)


def _against_ensembles(seen: Evidence) -> tuple[list[int], list[int]]:
    """Split the attacks within the main budget: ensembles, such as AutoAttack, and others."""
    return seen.within(lambda attack: attack.ensemble), seen.within(lambda attack: not attack.ensemble)


def _autoattack(seen: Evidence) -> Iterator[Comparison]:
    reference, others = _against_ensembles(seen)
    return _not_weaker(seen, others, reference, ("best other", "AutoAttack"), GAP)


def _strong_autoattack(seen: Evidence) -> Iterator[Comparison]:
    return _not_weaker(seen, *_against_ensembles(seen), ("AutoAttack", "best other"))


def _shown(seen: Evidence) -> Iterator[Comparison]:
    own = seen.within(lambda attack: attack.key in seen.shown)
    return _not_weaker(seen, own, seen.within(lambda attack: True), ("the table", "the strongest known attack"), GAP)


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
    "AutoAttack is no weaker than the other attacks": _strong_autoattack,
    f"the table's columns are within {GAP:g} points of the strongest known attack": _shown,
}
