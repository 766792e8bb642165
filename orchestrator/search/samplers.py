"""Optuna's samplers and pruners by their names, and the study that a search uses them on."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from optuna import create_study, pruners, samplers
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection

from orchestrator.errors import BadInput

#: Samplers by name, made from a seed. In a conditional space some sample a factor independently: not worth a warning.
SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = MappingProxyType(
    {
        "tpe": lambda seed: samplers.TPESampler(seed=seed, group=True, multivariate=True),
        "gp": lambda seed: samplers.GPSampler(seed=seed, warn_independent_sampling=False),
        "cmaes": lambda seed: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
        "nsga2": lambda seed: samplers.NSGAIISampler(seed=seed, population_size=20),
        "random": lambda seed: samplers.RandomSampler(seed=seed),
        "qmc": lambda seed: samplers.QMCSampler(
            seed=seed, scramble=True, warn_independent_sampling=False, warn_asynchronous_seeding=False
        ),
    }
)

#: Pruners by name, made from the number of epochs of a whole training.
PRUNERS: Mapping[str, Callable[[int], BasePruner]] = MappingProxyType(
    {
        "none": lambda epochs: pruners.NopPruner(),
        # Asynchronous successive halving: at a sixteenth, a fourth, ... of the epochs the better fourth goes on.
        "asha": lambda epochs: pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs // 16), reduction_factor=4),
        "hyperband": lambda epochs: pruners.HyperbandPruner(
            min_resource=max(1, epochs // 27), max_resource=epochs, reduction_factor=3
        ),
        "median": lambda epochs: pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=max(1, epochs // 10)),
    }
)


def open_study(
    storage: BaseStorage, name: str, objectives: Sequence[str], sampler: str, pruner: str, epochs: int, seed: int
) -> Study:
    """Open Optuna's study of this name, or create it, to maximise ``objectives`` (labels of accuracies).

    ``epochs``: the length of a whole training. ``seed``: the sampler's, to which the number of earlier trials is added, so that
    a later process does not sample the same again.

    Raises:
        BadInput: a study of this name exists, with other objectives.
    """
    maximise = [StudyDirection.MAXIMIZE] * len(objectives)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = create_study(storage=storage, study_name=name, directions=maximise, load_if_exists=True)
        if study.directions != maximise:
            raise BadInput(f"--name {name!r}: there is a search of that name with other objectives; choose another")
        study.sampler = SAMPLERS[sampler](seed + len(study.get_trials(deepcopy=False)))
        study.pruner = PRUNERS[pruner](epochs)
        study.set_metric_names(list(objectives))
    return study
