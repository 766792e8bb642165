"""What one may choose about a search, with its defaults."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SamplerName = Literal["tpe", "gp", "cmaes", "nsga2", "random", "qmc"]
PrunerName = Literal["none", "asha", "hyperband", "median"]


@dataclass(frozen=True)
class SearchOptions:
    """The objectives, the sampler and the length of a search.

    Attributes:
        factors: names of those to vary; None for all that can be sampled together.
        objectives: accuracies on the validation images to maximise: ``natural``, ``pgd20``, ``pgd(iterations=50)``; of several,
            the result is the Pareto front.
        constraints: accuracies and their least percentages: ``natural >= 80``.
        sampler, pruner: Optuna's; a pruner ends trainings early that do badly, and they enter no table.
        trials: configurations to try besides those that the storage knows, >= 1.
        finalists: how many of the best are trained for all seeds, >= 0.
        checkpoint: which one of each trial counts.
        name: of the search, as a study's (``mine/wide``); None for ``SPACE/search``.
        sampler_seed: of the sampler's own random numbers, >= 0.
    """

    factors: Sequence[str] | None = None
    objectives: Sequence[str] = ("pgd20",)
    constraints: Sequence[str] = ()
    sampler: SamplerName = "tpe"
    pruner: PrunerName = "none"
    trials: int = 60
    finalists: int = 3
    checkpoint: Literal["best", "last"] = "last"
    name: str | None = None
    sampler_seed: int = 0
