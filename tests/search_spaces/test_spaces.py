"""The spaces that a search samples."""

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution

from search_spaces.catalog import SPACES
from search_spaces.settings import Eps
from search_spaces.space import Space

#: What can be searched, by the paper that has it.
NAMES = {
    "cas": {"block", "beta", "suppression"},
    "cifs": {"beta", "top_k", "imgf", "alpha", "T", "positions", "layers", "probes", "depth", "hidden"},
    "infofeature": {"lambda", "iterations", "distance"},
    "afd": {"depth", "projection", "hidden", "loss", "lr", "lr_encoder", "lr_discriminator"},
    "fsr": {"block", "tau", "lambda_sep", "lambda_rec", "separation", "mask", "strategy"},
}
TRAINING = {"objective", "trades_lambda", "mart_lambda", "fat_tau", "step", "eps", "iterations"}

every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def test_every_ablated_setting_is_a_factor() -> None:
    assert SPACES.keys() == NAMES.keys()
    for name, names in NAMES.items():
        known = {factor.name for factor in SPACES[name].factors}
        assert names <= known, name
        assert (known >= TRAINING) == (name in {"cas", "cifs", "fsr"})


@every_space
def test_every_factor_has_a_range_that_holds_its_levels(space: Space) -> None:
    assert len({factor.name for factor in space.factors}) == len(space.factors)
    for factor in space.factors:
        assert factor.symbol
        if isinstance(factor.distribution, CategoricalDistribution):
            assert list(factor.distribution.choices) == [level.label for level in factor.levels]
            continue
        distribution: Any = factor.distribution
        (field,) = factor.fields  # a sampled number sets a single field
        for level in factor.levels:
            value = level.settings[field]
            sampled = value.times if isinstance(value, Eps) else value
            assert isinstance(value, Eps) == factor.of_eps
            assert distribution.low <= sampled <= distribution.high
            # A number sampled at a level gives that level.
            assert factor.level(sampled) == level


@every_space
def test_what_a_factor_is_given_is_a_label_of_another(space: Space) -> None:
    labels = {factor.name: {level.label for level in factor.levels} for factor in space.factors}
    for factor in space.factors:
        assert all(set(needed) <= labels[other] for other, needed in factor.given.items())


def test_a_space_of_a_study_is_what_the_study_varies() -> None:
    from search_spaces.catalog import STUDIES

    study = STUDIES["cifs/table-5"]
    space = Space.of(study)
    assert (space.name, space.factors, space.fixed, space.profiles) == (study.name, study.factors, study.fixed, study.profiles)
