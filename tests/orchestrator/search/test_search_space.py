"""The space that a search samples from: parameters, their configurations, and the way back."""

import random
from itertools import product

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.errors import BadInput
from orchestrator.search.space import SearchSpace
from search_spaces.catalog import SPACES, STUDIES
from search_spaces.factor import Level, choice, scalar
from search_spaces.space import Space
from search_spaces.study import Profile

DEMO = SPACES["cifs"].profiles["demo"]


def space_of(*names, space="cifs", profile="demo", overrides=None):
    return SearchSpace(SPACES[space], SPACES[space].profiles[profile], names or None, overrides)


def random_values(seed):
    """Sample from distributions without Optuna."""
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
def test_parameters_of_every_space_can_be_found_from_their_configuration(space, profile):
    some = space_of(space=space, profile=profile)
    valid = 0
    for seed in range(25):
        parameters = some.sample(random_values(seed))
        try:
            config = some.config(parameters)
        except BadInput:
            continue
        valid += 1
        again = some.locate(config)
        # Other parameters may have the same configuration.
        assert again is not None
        assert some.config(again) == config
    assert valid > 15


@pytest.mark.parametrize("space", SPACES)
def test_every_factor_of_a_space_can_be_searched_in_the_papers_profile(space):
    for factor in SPACES[space].factors:
        names = [name.replace(" ", "_") for name in (*factor.given, factor.name)]
        some = space_of(*names, space=space, profile="paper")
        configs = {some.config(some.sample(random_values(seed))).model_dump_json() for seed in range(30)}
        assert len(configs) > 1, factor.name


def test_a_factor_without_effect_is_not_sampled():
    some = space_of("imgf", "alpha", "T")
    samples = [some.sample(random_values(seed)) for seed in range(30)]
    assert {tuple(sorted(d)) for d in samples} == {("T", "imgf"), ("alpha", "imgf")}
    for d in samples:
        assert ("T" in d) == (d["imgf"] == "softmax")
        imgf = some.config(d).module.imgf
        assert (imgf.T if d["imgf"] == "softmax" else imgf.alpha) == d.get("T", d.get("alpha"))


def test_a_number_is_the_one_field_that_its_factor_sets():
    some = space_of("beta", "top_k")
    config = some.config({"beta": 3.25, "top_k": 4})
    assert (config.module.beta, config.module.top_k, config.seed) == (3.25, 4, 0)
    assert some.label({"beta": 3.25, "top_k": 2}) == "β = 3.25, top-2"
    assert some.locate(config) == {"beta": 3.25, "top_k": 4}


def test_step_sizes_are_sampled_as_multiples_of_the_profiles_eps():
    some = space_of("step", profile="paper")
    assert some.config({"step": 0.5}).attack.step == pytest.approx(4 / 255)
    assert (some.label({"step": 0.5}), some.label({"step": 0.3})) == ("eps/2", "step = 0.3 eps")
    assert some.locate(some.config({"step": 0.5})) == {"step": pytest.approx(0.5)}


def test_every_combination_of_a_finite_space_is_enumerated_once():
    assert len(space_of("imgf", "positions").combinations) == 6
    assert len(space_of("top_k", "imgf", "layers").combinations) == 45
    assert space_of("imgf", "alpha").combinations is None
    levels = tuple(Level(name, {"module.imgf.name": name}) for name in ("sigmoid", "softmax"))
    alphas = scalar("alpha", "α", "module.imgf.alpha", (1, 2, 3), 1, IntDistribution(1, 3)).where(imgf=("sigmoid",))
    own = Space("own", SPACES["cifs"].fixed, (alphas, choice("imgf", "IMGF", levels, "softmax")), SPACES["cifs"].profiles)
    combinations = SearchSpace(own, DEMO).combinations
    assert [dict(parameters) for parameters in combinations] == [
        {"imgf": "sigmoid", "alpha": 1},
        {"imgf": "sigmoid", "alpha": 2},
        {"imgf": "sigmoid", "alpha": 3},
        {"imgf": "softmax"},
    ]


def test_configurations_outside_the_space_have_no_parameters():
    some = space_of("beta", "imgf")
    inside = some.config({"beta": 1.0, "imgf": "softmax"})
    other = inside.model_copy(update={"seed": 1})
    hotter = inside.module.model_copy(update={"beta": 1000.0})
    assert some.locate(inside) == {"beta": 1.0, "imgf": "softmax"}
    assert some.locate(other) is None
    assert some.locate(inside.model_copy(update={"module": hotter})) is None
    assert some.locate(space_of("positions").config({"positions": "P2"})) is None


def test_without_names_all_factors_vary_that_set_different_fields():
    names = [factor.name for factor in space_of().factors]
    unconditional = ["beta", "top_k", "imgf", "positions", "layers", "probes", "objective"]
    assert names == [*unconditional, "alpha", "T", "depth", "hidden", "trades_lambda", "mart_lambda", "fat_tau"]
    # Fields that the demo pins are free in the papers' profile.
    assert {"step", "eps", "iterations"} <= {factor.name for factor in space_of(profile="paper").factors}


def test_what_describes_the_probes_crosses():
    """Every position with every number of layers, kind, depth and width of probes, each as the configuration says it."""
    some = space_of("positions", "layers", "probes", "depth", "hidden")
    assert [factor.name for factor in some.factors] == ["positions", "layers", "probes", "depth", "hidden"]
    blocks = ["block1.1", "block2.1", "block3.1", "block4.1"]
    kinds = {"Linear-Linear": "linear", "MLP-Linear": "mlp-linear", "MLP-MLP": "mlp"}
    for position, layers, kind, depth in product(("P1", "P2"), (1, 2, 3), kinds, (1, 2, 3)):
        given = {} if kind == "Linear-Linear" else {"depth": f"{depth} hidden", "hidden": 64}
        module = some.config({"positions": position, "layers": f"|I| = {layers}", "probes": kind, **given}).module
        last = 4 if position == "P1" else 3
        assert module.positions == tuple(blocks[last - layers : last])
        linear = {"Linear-Linear": set(blocks), "MLP-Linear": {"block4.1"}, "MLP-MLP": set()}[kind]
        assert module.depth == tuple(0 if place in linear else depth for place in module.positions)
        assert module.hidden == (64 if any(module.depth) else 128)


def test_a_condition_is_met_by_the_label_that_a_factor_keeps():
    assert [f.name for f in space_of("T").factors] == ["T"]
    assert [f.name for f in space_of("alpha", overrides={"module.imgf.name": "sigmoid"}).factors] == ["alpha"]
    assert space_of("depth").config({"depth": "2 hidden"}).module.depth == (2, 0)
    with pytest.raises(BadInput, match="--factors depth: has no effect without probes"):
        space_of("depth", overrides={"module.probes": ["linear"]})


def test_friendly_training_keeps_the_step_that_is_sampled_beside_it():
    some = space_of("objective", "step", "fat_tau", profile="paper")
    attack = some.config({"objective": "FAT", "step": 0.5, "fat_tau": "τ = 1"}).attack
    assert (attack.name, attack.step, attack.taus) == ("friendly", pytest.approx(4 / 255), (1, 1, 1))


def test_what_a_level_sets_in_rows_of_another_label_holds_in_a_search_too():
    some = SearchSpace(Space.of(STUDIES["afd/table-1"]), STUDIES["afd/table-1"].profiles["paper"])
    trades = [some.config({"dataset": name, "objective": "TRADES"}) for name in ("MNIST", "CIFAR-10")]
    assert [(c.objective.lam, c.attack.eps) for c in trades] == [(1.0, 0.3), (6.0, 0.031)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["betta"], "--factors betta: cifs has no such factor; did you mean 'beta'?"),
        (["zzz"], "--factors zzz: cifs has no such factor; allowed: beta, top_k, imgf, "),
        (["step"], "--factors step: attack.step is fixed by profile demo or --set"),
        (["alpha"], "--factors alpha: has no effect without imgf; name both"),
    ],
)
def test_invalid_factors_are_refused(names, message):
    with pytest.raises(BadInput) as refused:
        space_of(*names)
    assert str(refused.value).startswith(message)


def test_factors_of_one_field_are_refused():
    k = choice("k", "k", (Level("1", {"module.top_k": 1}), Level("2", {"module.top_k": 2})), "1")
    own = Space("own", SPACES["cifs"].fixed, (*SPACES["cifs"].factors, k), SPACES["cifs"].profiles)
    with pytest.raises(BadInput, match=r"^--factors top_k,k: both set module.top_k; choose one$"):
        SearchSpace(own, DEMO, ["k", "top_k"])


def test_overridden_fields_do_not_vary():
    with pytest.raises(BadInput, match=r"module.beta is fixed by profile demo or --set"):
        space_of("beta", overrides={"module.beta": 1.0})
    assert space_of("top_k", overrides={"module.beta": 1.0}).config({"top_k": 1}).module.beta == 1.0


def test_a_profile_that_leaves_nothing_free_is_refused():
    with pytest.raises(BadInput, match=r"^--factors: profile demo leaves none of bare free$"):
        SearchSpace(Space("bare", {}, (), {"demo": DEMO}), Profile("demo", eps=0.1, seeds=1))


def test_invalid_parameters_raise_the_reason():
    levels = (Level("1", {"module.top_k": 1}), Level("11", {"module.top_k": 11}))
    own = Space("own", SPACES["cifs"].fixed, (choice("k", "k", levels, "1"),), SPACES["cifs"].profiles)
    with pytest.raises(BadInput, match=r"module.top_k = 11: must be less than or equal to 10"):
        SearchSpace(own, DEMO).config({"k": "11"})
