"""Values that Optuna samples for one of its trials."""

from collections.abc import Callable

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.settings import Scalar


def suggest_from(trial: optuna.Trial) -> Callable[[str, BaseDistribution], Scalar]:
    """Return a function from a factor's name and distribution to the value that the trial's sampler suggests."""

    def suggest(name: str, of: BaseDistribution) -> Scalar:
        match of:
            case FloatDistribution():
                return trial.suggest_float(name, of.low, of.high, step=of.step, log=of.log)
            case IntDistribution():
                return trial.suggest_int(name, of.low, of.high, step=of.step, log=of.log)
            case CategoricalDistribution():
                return trial.suggest_categorical(name, of.choices) or ""
        raise TypeError(f"{name}: {of} is not a distribution that can be sampled from")

    return suggest
