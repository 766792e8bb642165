"""Values that Optuna samples for one of its trials."""

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.settings import Scalar


class Suggesting:
    """Samples from one of Optuna's trials: from a factor's name and distribution to a value."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def __call__(self, name: str, of: BaseDistribution) -> Scalar:
        match of:
            case FloatDistribution():
                return self._trial.suggest_float(name, of.low, of.high, step=of.step, log=of.log)
            case IntDistribution():
                return self._trial.suggest_int(name, of.low, of.high, step=of.step, log=of.log)
            case CategoricalDistribution():
                return self._trial.suggest_categorical(name, of.choices) or ""
        raise TypeError(f"{name}: {of} is no distribution that can be drawn from")
