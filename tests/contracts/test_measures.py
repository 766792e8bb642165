"""What every measure promises, on networks with every module and through a trial."""

import copy
import functools
import random
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.support.contract_cases import EVERY_MODULE, batch, draws, module_spec, network, spec, specs
from tests.support.pairwise import pairwise_product
from trainables import config
from trainables.config.terms.registry import MEASURE, MODEL
from trainables.data import Examples
from trainables.joint import attack_weights
from trainables.measures import Subject, run_measure
from trainables.trial import Trial

NAMES = list(specs(config.Measure))
MODELS = list(MODEL.entries)

#: Small attacks, one without chance and one with it; and settings that fit few images.
STEADY = config.PGD(eps=0.1, step=0.04, iterations=2, start="zero")
CHANCY = config.PGD(eps=0.1, step=0.04, iterations=2)
SETTINGS = {"activations": {"position": "block4.1"}, "t-sne": {"perplexity": 3.0, "examples": 8}}


def measure(name, attack=STEADY):
    """The named measure, of an attack where it takes one."""
    fields = specs(config.Measure)[name].model_fields
    attacks = {"attack": attack, "reference": config.FGSM(eps=0.1)}
    return specs(config.Measure)[name](**{f: a for f, a in attacks.items() if f in fields}, **SETTINGS.get(name, {}))


def subject(module, model=None, n=16, **settings):
    x, y = batch(n)
    spec = module_spec(module)
    model = model or trained(module)
    examples = Examples((x * 255).to(torch.uint8), y)
    return Subject(model, examples, lambda a: attack_weights(a.aim, spec), seed=0, **settings)


@functools.cache
def trained(module):
    made, _ = network(module_spec(module))
    made.draw_from(None)
    return made


every_measure = pytest.mark.parametrize("name", NAMES)
every_module = pytest.mark.parametrize("module", EVERY_MODULE)


def test_the_configuration_and_the_table_hold_the_same_names():
    assert list(MEASURE.entries) == NAMES


@every_measure
@every_module
def test_arrays_are_finite_numbers_of_the_examples(name, module):
    found = run_measure(measure(name), subject(module))
    assert found
    for values in found.values():
        assert isinstance(values, np.ndarray)
        assert values.dtype in (np.float64, np.int64, np.bool_)
        if name == "class-gradients":  # 16 images are not of all classes
            there = np.isin(np.arange(10), batch(16)[1])
            assert np.isfinite(values).all(axis=1).tolist() == there.tolist()
        else:
            assert np.isfinite(values).all()


@pairwise_product("name, module, fails", NAMES, EVERY_MODULE, [False, True])
def test_nothing_else_is_changed(name, module, fails):
    """Modes, gradients, statistics, sources of chance and global generators; after an error in the model too."""
    model = copy.deepcopy(trained(module)).train()
    list(model.modules())[2].eval()
    next(model.parameters()).requires_grad_(False)
    for i, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, i) if i % 2 else None
    own = torch.Generator().manual_seed(5)
    model.draw_from(own)
    ours = subject(module, model)

    def state():
        numbers = [*model.state_dict().values(), *(p.grad for p in model.parameters() if p.grad is not None)]
        flags = [m.training for m in model.modules()], [(p.requires_grad, p.grad is None) for p in model.parameters()]
        chance = own.get_state(), torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].astype(np.int64))
        there = model._generator is own, model._watch, random.getstate(), torch.is_grad_enabled()
        return [t.clone() for t in (*numbers, *chance, ours.examples.images)], (flags, there)

    tensors, others = state()
    if fails:
        with patch.object(model.fc, "forward", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
            run_measure(measure(name), ours)
    else:
        run_measure(measure(name), ours)
    after, others_after = state()
    assert all(torch.equal(a, b) for a, b in zip(tensors, after, strict=True))
    assert others == others_after


def same(one, other):
    return one.keys() == other.keys() and all(one[a].tobytes() == other[a].tobytes() for a in one)


@every_measure
@every_module
def test_the_seed_decides_every_bit(name, module):
    one, other = (run_measure(measure(name, CHANCY), subject(module)) for _ in range(2))
    assert same(one, other)
    changed = same(one, run_measure(measure(name, CHANCY), replace(subject(module), seed=1)))
    # The seed is the attacks', and the stochastic modules'.
    attacks = "attack" in specs(config.Measure)[name].model_fields
    assert changed == (not attacks and not draws(trained(module)))


@pairwise_product("name, module, batch_size", NAMES, EVERY_MODULE, [1, 5, 16])
def test_the_batch_size_of_the_evaluation_does_not_matter(name, module, batch_size):
    if draws(trained(module)):
        pytest.skip("the numbers that the network draws for an example depend on how many come before it")
    if name == "t-sne":
        # Its steps carry rounding as far as the plane reaches: what goes in is compared.
        with patch("trainables.measures.tsne.embed", lambda E, perplexity, seed: E):
            one, other = (run_measure(measure(name), subject(module, batch_size=size)) for size in (batch_size, 500))
    else:
        one, other = (run_measure(measure(name), subject(module, batch_size=size)) for size in (batch_size, 500))
    assert one.keys() == other.keys()
    for array in one:
        np.testing.assert_allclose(one[array], other[array], rtol=2e-3, atol=1e-6)


@every_measure
@every_module
def test_the_callers_gradient_setting_does_not_matter(name, module):
    with torch.no_grad():
        without = run_measure(measure(name), subject(module))
    assert same(without, run_measure(measure(name), subject(module)))


# --- through a trial ----------------------------------------------------------------------------------------------------


def trial(module="none", model="resnet-10", seed=0, **settings):
    return Trial(
        config.TrialConfig(
            data=config.Data(dataset="digits", validation=0.1, crop=1, flip=False, examples=40),
            model=config.Model(name=model, width={"lenet": 3}.get(model, 2)),
            module=spec(config.Module, module, **settings),
            training=config.Training(epochs=1, batch_size=18, lr=0.02),
            selection=config.Selection(attack=config.Natural()),
            seed=seed,
        ),
        config.Runtime(device="cpu", threads=1),
    )


@every_measure
@pytest.mark.parametrize("model", MODELS)
def test_every_network_is_measured_at_its_last_position(name, model):
    ours = trial(model=model)
    weights = {key: tensor.clone() for key, tensor in ours.weights().items()}
    spec = measure(name)
    if name == "activations":
        spec = spec.model_copy(update={"position": "P1"})
    before = torch.get_rng_state(), ours._generators.state_dict()
    found = ours.measure(spec, weights)
    assert found
    assert same(found, ours.measure(spec, weights))
    assert all(torch.equal(tensor, weights[key]) for key, tensor in ours.weights().items())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(a, before[1][key]) for key, a in ours._generators.state_dict().items())


@pytest.mark.parametrize("module", ["none", "cas", "fsr"])
@pytest.mark.parametrize("attack", [CHANCY, config.Natural()])
def test_the_images_are_those_of_the_evaluation(module, attack):
    """With random starts too, so an example's sensitivity lies beside its rank."""
    ours = trial(module)
    canonical = config.canonical_attack(attack, ours.spec.module)
    weights = ours.weights()
    final = ours.evaluate(canonical, weights, complete=True).ranks["final"]
    seen = []

    def record(spec, subject):
        for _, y, (x_adv,) in subject.batches(spec.attack):
            logits = subject.network(x_adv).logits
            seen.append((logits >= logits.gather(1, y[:, None])).sum(1) - 1)
        return {}

    stand_in = replace(MEASURE.entries["sensitivity"], implementation=record)
    with patch.dict(MEASURE.entries, {"sensitivity": stand_in}):
        ours.measure(config.Sensitivity(attack=attack), weights)
    ranks = torch.cat(seen).numpy()
    # What was broken on the way is wrong, though it may be right at the end.
    assert (np.maximum(ranks, final == 1) == final).all()
    assert (ranks == final).mean() > 0.9


def test_equal_measures_give_equal_arrays():
    ours = trial("cas", positions=("P1",))
    own, number = (CHANCY.model_copy(update={"beta_atk": beta}) for beta in ("own", "2"))
    one = ours.measure(config.Activations(attack=own), ours.weights())
    assert same(one, ours.measure(config.Activations(attack=number, position="block4.1"), ours.weights()))


def test_other_weights_than_the_trials_own_are_measured():
    ours, other = trial(), trial(seed=1)
    found = ours.measure(config.Dimensions(), other.weights())
    assert same(found, other.measure(config.Dimensions(), other.weights()))
    assert not same(found, ours.measure(config.Dimensions(), ours.weights()))


def test_what_is_not_there_is_named():
    ours = trial()
    with pytest.raises(ValueError, match=r"label = 10: must be less than 10"):
        ours.measure(config.Activations(label=10), ours.weights())
    aimed = config.FGSM(eps=0.1, beta_atk="inf-1")
    with pytest.raises(ValueError, match=r"beta_atk aims at a module that the network does not have"):
        ours.measure(config.Sensitivity(attack=aimed), ours.weights())


def test_the_test_sets_labels_are_in_the_order_of_the_ranks():
    ours = trial()
    assert ours.test_labels(config.Natural()).tolist() == ours._splits.test.labels.tolist()
