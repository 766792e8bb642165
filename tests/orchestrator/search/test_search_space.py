"""What a search draws from: cells, their configurations, and the way back."""

import random

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.errors import BadInput
from orchestrator.search.space import Cells
from search_spaces.catalog import SPACES
from search_spaces.factor import Level, choice, scalar
from search_spaces.space import Space
from search_spaces.study import Profile

DEMO = SPACES["cifs"].profiles["demo"]


def cells(*names, space="cifs", profile="demo", overrides=None):
    return Cells(SPACES[space], SPACES[space].profiles[profile], names or None, overrides)


def chance(seed):
    """Draws without Optuna."""
    numbers = random.Random(seed)

    def suggest(name, of):
        match of:
            case CategoricalDistribution():
                return numbers.choice(of.choices)
            case IntDistribution():
                return numbers.randint(of.low, of.high)
            case FloatDistribution():
                return numbers.uniform(of.low, of.high)

    return suggest


@pytest.mark.parametrize("profile", ["paper", "short", "demo"])
@pytest.mark.parametrize("space", SPACES)
def test_every_space_can_be_drawn_from_and_every_cell_found_again(space, profile):
    some = cells(space=space, profile=profile)
    valid = 0
    for seed in range(25):
        drawn = some.draw(chance(seed))
        try:
            config = some.config(drawn)
        except BadInput:
            continue
        valid += 1
        again = some.locate(config)
        # Another cell may be the same configuration.
        assert again is not None
        assert some.config(again) == config
    assert valid > 15


@pytest.mark.parametrize("space", SPACES)
def test_every_factor_of_a_space_can_be_searched_in_the_papers_profile(space):
    for factor in SPACES[space].factors:
        names = [name.replace(" ", "_") for name in (*factor.given, factor.name)]
        some = cells(*names, space=space, profile="paper")
        configs = {some.config(some.draw(chance(seed))).model_dump_json() for seed in range(30)}
        assert len(configs) > 1, factor.name


def test_a_factor_that_means_nothing_is_not_drawn():
    some = cells("imgf", "alpha", "T")
    drawn = [some.draw(chance(seed)) for seed in range(30)]
    assert {tuple(sorted(d)) for d in drawn} == {("T", "imgf"), ("alpha", "imgf")}
    for d in drawn:
        assert ("T" in d) == (d["imgf"] == "softmax")
        imgf = some.config(d).module.imgf
        assert (imgf.T if d["imgf"] == "softmax" else imgf.alpha) == d.get("T", d.get("alpha"))


def test_a_number_is_the_one_field_that_its_factor_sets():
    some = cells("beta", "top_k")
    config = some.config({"beta": 3.25, "top_k": 4})
    assert (config.module.beta, config.module.top_k, config.seed) == (3.25, 4, 0)
    assert some.label({"beta": 3.25, "top_k": 2}) == "β = 3.25, top-2"
    assert some.locate(config) == {"beta": 3.25, "top_k": 4}


def test_what_is_drawn_of_eps_is_a_multiple_of_the_profiles():
    some = cells("step", profile="paper")
    assert some.config({"step": 0.5}).attack.step == pytest.approx(4 / 255)
    assert (some.label({"step": 0.5}), some.label({"step": 0.3})) == ("eps/2", "step = 0.3 eps")
    assert some.locate(some.config({"step": 0.5})) == {"step": pytest.approx(0.5)}


def test_every_cell_of_a_finite_space_is_there_once():
    assert len(cells("imgf", "positions").every) == 9
    assert len(cells("top_k", "imgf", "layers").every) == 45
    assert cells("imgf", "alpha").every is None
    levels = tuple(Level(name, {"module.imgf.name": name}) for name in ("sigmoid", "softmax"))
    alphas = scalar("alpha", "α", "module.imgf.alpha", (1, 2, 3), 1, IntDistribution(1, 3)).where(imgf=("sigmoid",))
    own = Space("own", SPACES["cifs"].fixed, (alphas, choice("imgf", "IMGF", levels, "softmax")), SPACES["cifs"].profiles)
    every = Cells(own, DEMO).every
    assert [dict(cell) for cell in every] == [
        {"imgf": "sigmoid", "alpha": 1},
        {"imgf": "sigmoid", "alpha": 2},
        {"imgf": "sigmoid", "alpha": 3},
        {"imgf": "softmax"},
    ]


def test_what_is_outside_the_space_has_no_cell():
    some = cells("beta", "imgf")
    inside = some.config({"beta": 1.0, "imgf": "softmax"})
    other = inside.model_copy(update={"seed": 1})
    hotter = inside.module.model_copy(update={"beta": 1000.0})
    assert some.locate(inside) == {"beta": 1.0, "imgf": "softmax"}
    assert some.locate(other) is None
    assert some.locate(inside.model_copy(update={"module": hotter})) is None
    assert some.locate(cells("positions").config({"positions": "P1"})) is None


def test_without_names_all_are_drawn_that_do_not_set_the_same():
    names = [factor.name for factor in cells().factors]
    assert names == ["beta", "top_k", "imgf", "positions", "objective", "alpha", "T", "trades_lambda", "mart_lambda"]
    # What the demo pins is free elsewhere.
    assert {"step", "training_eps"} <= {factor.name for factor in cells(profile="paper").factors}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["betta"], "--factors betta: cifs has no such factor; did you mean 'beta'?"),
        (["zzz"], "--factors zzz: cifs has no such factor; allowed: beta, top_k, imgf, "),
        (["step"], "--factors step: attack.step is fixed by profile demo or --set"),
        (["positions", "layers"], "--factors positions,layers: both set module.positions, module.probes; choose one"),
        (["alpha"], "--factors alpha: means nothing without imgf; name both"),
    ],
)
def test_factors_that_make_no_search_are_refused(names, message):
    with pytest.raises(BadInput) as refused:
        cells(*names)
    assert str(refused.value).startswith(message)


def test_what_is_set_is_not_drawn():
    with pytest.raises(BadInput, match=r"module.beta is fixed by profile demo or --set"):
        cells("beta", overrides={"module.beta": 1.0})
    assert cells("top_k", overrides={"module.beta": 1.0}).config({"top_k": 1}).module.beta == 1.0


def test_a_profile_that_leaves_nothing_free_is_refused():
    with pytest.raises(BadInput, match=r"^--factors: profile demo leaves none of bare free$"):
        Cells(Space("bare", {}, (), {"demo": DEMO}), Profile("demo", eps=0.1, seeds=1))


def test_a_cell_that_makes_no_sense_says_why():
    levels = (Level("1", {"module.top_k": 1}), Level("11", {"module.top_k": 11}))
    own = Space("own", SPACES["cifs"].fixed, (choice("k", "k", levels, "1"),), SPACES["cifs"].profiles)
    with pytest.raises(BadInput, match=r"module.top_k = 11: must be less than or equal to 10"):
        Cells(own, DEMO).config({"k": "11"})
