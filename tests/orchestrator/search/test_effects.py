"""No draw of a search is a training for nothing: another value of a factor is another training with other weights."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations

import pytest
import torch
from torch import Tensor

from orchestrator.search.space import Parameters, SearchSpace
from search_spaces.catalog import SPACES
from search_spaces.factor import Factor
from search_spaces.settings import Eps, Scalar
from trainables.config import Runtime, TrialConfig, trial_key
from trainables.trial import Trial

#: One batch an epoch, two epochs: FAT's tau changes after the first of them.
TINY = {
    "data.dataset": "digits",
    "data.examples": 20,
    "data.crop": 0,
    "model.name": "resnet-10",
    "model.width": 4,
    "training.epochs": 2,
    "training.batch_size": 18,
    "attack.milestones": [2, 3],
    "selection.attack.name": "natural",
}


#: InfoFeature's distance is over a map, which must not be a single place.
NETWORKS = {"infofeature": {"model.name": "wrn-28"}}


@cache
def searched(name: str) -> SearchSpace:
    return SearchSpace(SPACES[name], SPACES[name].profiles["paper"], overrides={**TINY, **NETWORKS.get(name, {})})


@cache
def weights(config: TrialConfig) -> Mapping[str, Tensor]:
    trial = Trial(config, Runtime(device="cpu", threads=1))
    while not trial.finished:
        trial.step()
    return trial.weights()


def values(factor: Factor) -> list[Scalar]:
    """The levels of a factor as a search samples them, its default first."""
    made = {}
    for level in sorted(factor.levels, key=lambda level: level.label != factor.default):
        value = next(iter(level.settings.values()))
        sampled = value.times if isinstance(value, Eps) else value
        made[level.label] = sampled if not hasattr(factor.distribution, "choices") else level.label
    return list(made.values())


def parameters_with(space: SearchSpace, factor: Factor, value: Scalar) -> Parameters:
    """The parameters with a value of one factor; all others but what it is conditional on have their defaults."""
    by_name = {one.name: one for one in space.factors}
    needed: dict[str, Scalar] = {factor.name: value}

    def need(one: Factor) -> None:
        for other, labels in one.given.items():
            default = by_name[other].default
            needed.setdefault(other, default if default in labels else labels[0])
            need(by_name[other])

    need(factor)
    parameters = space.sample(lambda name, of: needed.get(name, values(by_name[name])[0]))
    assert factor.name in parameters
    return parameters


def check(name: str, factor: Factor, tried: Sequence[Scalar]) -> None:
    space = searched(name)
    configs = [space.config(parameters_with(space, factor, value)) for value in tried]
    assert len(set(map(trial_key, configs))) == len(tried)
    for (value, ours), (other, theirs) in combinations(zip(tried, map(weights, configs), strict=True), 2):
        alike = ours.keys() == theirs.keys() and all(torch.equal(ours[part], theirs[part]) for part in ours)
        assert not alike, f"{factor.name}: {value} and {other} leave the same weights"


FACTORS = [(name, factor) for name in SPACES for factor in searched(name).factors]
every_factor = pytest.mark.parametrize(("name", "factor"), FACTORS, ids=[f"{name}-{factor.name}" for name, factor in FACTORS])


def test_every_factor_of_every_space_can_be_drawn() -> None:
    for name, space in SPACES.items():
        assert {factor.name for factor in searched(name).factors} == {factor.name for factor in space.factors}


@every_factor
def test_another_value_is_another_training(name: str, factor: Factor) -> None:
    first, *others = values(factor)
    # A number of a single level has its range besides.
    other = others[-1] if others else getattr(factor.distribution, "low", None)
    assert other is not None
    check(name, factor, [first, other])


@pytest.mark.slow
@every_factor
def test_every_level_is_another_training(name: str, factor: Factor) -> None:
    check(name, factor, values(factor))
