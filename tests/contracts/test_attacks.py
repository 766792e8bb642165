"""What every attack promises, on networks with every module."""

import copy
import functools
import random
from typing import get_args
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.support.contract_cases import EVERY_MODULE, batch, draws, module_spec, network, seeded, spec, specs
from tests.support.pairwise import pairwise_product
from trainables import config
from trainables.attacks import SourceNetwork, run_attack
from trainables.attacks.building_blocks.ball import length
from trainables.attacks.building_blocks.surrogate import Surrogate, errs
from trainables.attacks.building_blocks.surrogate import draws as says_it_draws
from trainables.joint import attack_weights, joint


def test_the_configuration_and_the_table_hold_the_same_names():
    assert specs(config.Attack).keys() >= {*DRAWING}


#: Values of fields that have no default, or one that takes long.
SMALL = {
    "step": 0.03,
    "iterations": 6,
    "first": 3,
    "queries": 20,
    "samples": 4,
    "searches": 3,
    "targets": 2,
    "source": "0" * 16,
    "attack": config.PGD(eps=0.1, step=0.03, iterations=4, start="zero"),
}
EPS = {"linf": 0.1, "l2": 1.0, "l1": 4.0}


def attacker(name, **settings):
    fields = specs(config.Attack)[name].model_fields
    small = {field: value for field, value in SMALL.items() if field in fields}
    if name == "as-training":
        small["attack"] = config.InfoFeature(eps=0.1, step=0.03, iterations=4)
    if "eps" in fields:
        small["eps"] = EPS[settings.get("norm", fields["norm"].default)]
    return spec(config.Attack, name, **(small | settings))


def norms(name):
    """Every attack with each norm that it has; numba compiles Brendel & Bethge's for long each."""
    field = specs(config.Attack)[name].model_fields.get("norm")
    return ["l2"] if name == "brendel-bethge" else get_args(field.annotation) if field else ["linf"]


@functools.cache
def trained(module):
    """A network that knows the batches it has seen, so that there is something to attack."""
    return network(module_spec(module), steps=80)


@functools.cache
def known(module, n):
    """Images, and what the network says of them."""
    x, _ = batch(n)
    with torch.no_grad():
        outputs = seeded(trained(module)[0]).eval()(x)
    return x, outputs.logits.argmax(1)


def attack(name, module, n=8, seed=0, dtype=torch.float32, **settings):
    model, weights = trained(module)
    x, y = known(module, n)
    generator = torch.Generator().manual_seed(seed)
    model = seeded(model, seed).to(dtype)
    sources = {("0" * 16, "last"): SourceNetwork(model, module_spec(module))}
    try:
        return x, y, run_attack(attacker(name, **settings), model, x.to(dtype), y, weights, generator, sources)
    finally:
        model.float()


#: Those that draw for each example of a batch, whatever they start at.
DRAWING = {
    "noise",
    "as-training",
    "avg-pgd",
    "di-fgsm",
    "md",
    "apgd",
    "brendel-bethge",
    "boundary",
    "square",
    "nattack",
    "autoattack",
}

ATTACKS = list(specs(config.Attack))
every_attack = pytest.mark.parametrize("name", ATTACKS)
SIZES = [("cas", 1), ("sap", 1), ("cas", 8)]
EVERY_CASE = [
    *((name, norms(name)[0], module, 3) for name in ATTACKS for module in EVERY_MODULE),
    *((name, norm, module, n) for name in ATTACKS for norm in norms(name) for module, n in SIZES),
]
every_module = pytest.mark.parametrize("module", EVERY_MODULE)

#: With a mask and heads; with noise in training and batch norms; with noise and no heads.
SOME_MODULES = ["cas", "fsr", "sap"]
some_modules = pytest.mark.parametrize("module", SOME_MODULES)


@pytest.mark.parametrize(("name", "norm", "module", "n"), EVERY_CASE)
def test_the_budget_and_the_range_are_kept(name, norm, module, n):
    settings = {"norm": norm} if "norm" in specs(config.Attack)[name].model_fields else {}
    x, _, (x_adv, distance, _) = attack(name, module, n, **settings)
    eps = getattr(attacker(name, **settings), "eps", 0.1 if name in {"transfer", "as-training"} else 0)
    assert x_adv.shape == x.shape
    assert x_adv.dtype == x.dtype
    assert not x_adv.requires_grad
    assert length(x_adv - x, norm).max() <= eps + 1e-6 * x[0].numel()
    assert 0 <= x_adv.min() <= x_adv.max() <= 1
    if distance is not None:
        assert distance.dtype == torch.float32
        assert distance.shape == (n,)
        within = distance <= eps
        torch.testing.assert_close(length(x_adv - x, norm)[within], distance[within])
        assert torch.equal(x_adv[~within], x[~within])


@every_attack
@some_modules
def test_it_harms(name, module):
    """The loss rises; of an attack that looks for the smallest change, what it found is wrong, and the rest untouched."""
    model, weights = trained(module)
    x, y, (x_adv, distance, _) = attack(name, module, 8)

    def outputs(images):
        with torch.no_grad():
            return seeded(model).eval()(images)

    def value(images):
        return joint(weights, lambda z: torch.nn.functional.cross_entropy(z, y, reduction="none"), outputs(images)).mean()

    if distance is not None:
        if not draws(model):
            assert torch.equal(errs(outputs(x_adv).logits, y), distance <= attacker(name).eps)
        assert (distance < torch.inf).any() or (name, module) == ("cw-l2", "sap")
    elif name == "natural":
        assert torch.equal(x_adv, x)
    elif name != "noise":
        assert value(x_adv) > value(x) + 1e-3


@pairwise_product("name, module, fails", [*ATTACKS], SOME_MODULES, [False, True])
def test_nothing_else_is_changed(name, module, fails):
    """Modes, gradients, statistics and global generators; after an error in the model too."""
    model, weights = trained(module)
    model = copy.deepcopy(model).train()
    list(model.modules())[2].eval()
    next(model.parameters()).requires_grad_(False)
    for i, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, i) if i % 2 else None
    x, y = (tensor.clone() for tensor in known(module, 3))

    def state():
        numbers = [*model.state_dict().values(), *(p.grad for p in model.parameters() if p.grad is not None), x, y]
        flags = [m.training for m in model.modules()], [(p.requires_grad, p.grad is None) for p in model.parameters()]
        chance = torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].astype(np.int64)), random.getstate()
        return [t.clone() for t in (*numbers, *chance[:2])], (flags, chance[2], torch.is_grad_enabled(), x.requires_grad)

    tensors, others = state()
    settings = {"restarts": 2} if "restarts" in specs(config.Attack)[name].model_fields else {}
    sources = {("0" * 16, "last"): SourceNetwork(model, module_spec(module))}
    run = functools.partial(run_attack, attacker(name, **settings), model, x, y, weights, torch.Generator(), sources)
    if fails and name not in ("natural", "noise"):
        with patch.object(model.fc, "forward", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
            run()
    else:
        run()
    after, others_after = state()
    assert all(torch.equal(a, b) for a, b in zip(tensors, after, strict=True))
    assert others == others_after


@every_attack
@pytest.mark.parametrize("module", ["fsr", "sap"])
def test_a_generators_seed_decides_every_bit(name, module):
    one, other = (attack(name, module, seed=3)[2] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a is not None)


@every_attack
@some_modules
def test_an_example_does_not_depend_on_its_batch(name, module):
    """Each example's own objective is maximised: alone it ends where it ends among others."""
    settings = {"start": "zero"} if "start" in specs(config.Attack)[name].model_fields else {}
    model, weights = trained(module)
    if draws(model) or name in DRAWING:
        pytest.skip("the numbers that are drawn for an example depend on how many come before it")
    x, y, (x_adv, *_) = attack(name, module, 8, dtype=torch.float64, **settings)
    sources = {("0" * 16, "last"): SourceNetwork(model, module_spec(module))}
    model.double()
    alone = [
        run_attack(attacker(name, **settings), model, x[i : i + 1].double(), y[i : i + 1], weights, torch.Generator(), sources)
        for i in range(8)
    ]
    model.float()
    # pyautoattack computes in single precision.
    torch.testing.assert_close(torch.cat([a.images for a in alone]), x_adv, rtol=0, atol=1e-5 if name == "fab" else 1e-9)


@every_attack
@pytest.mark.parametrize("module", ["cifs"])  # whose forward pass takes gradients itself
def test_the_callers_gradient_setting_does_not_matter(name, module):
    with torch.no_grad():
        without = attack(name, module)[2].images
    assert torch.equal(without, attack(name, module)[2].images)


@pytest.mark.parametrize("name", [name for name, cls in specs(config.Attack).items() if "beta_atk" in cls.model_fields])
def test_every_aim_of_an_adaptive_attacker_works(name):
    module = module_spec("cas")
    model, _ = trained("cas")
    x, y = known("cas", 8)
    aimed = attacker(name) if norms(name)[0] == "l2" else attacker(name, eps=0.3)
    ends = []
    for beta_atk in ("0", "2", "inf", "inf-1", "inf-2", "own"):
        weights = attack_weights(config.Aim.parse(beta_atk), module)
        ends.append(run_attack(aimed, model, x, y, weights, torch.Generator().manual_seed(0)).images)
    different = [torch.equal(ends[i], ends[j]) for i in range(5) for j in range(i)].count(False)
    assert different == 10 or (name in ("square", "autoattack") and different > 3)  # where squares or the first part suffice
    torch.testing.assert_close(ends[5], ends[1])  # the module's own beta is 2


@pytest.mark.parametrize("name", [name for name, cls in specs(config.Attack).items() if "view" in cls.model_fields])
@pytest.mark.parametrize(("module", "view"), [*((m, "soft") for m in EVERY_MODULE), ("fsr", "train"), ("cas", "train")])
def test_a_view_is_another_attack_where_the_module_has_one(name, module, view):
    """What is looked at differs; what is within eps, in range and misclassified does not."""
    plain, seen = (attack(name, module, view=v)[2].images for v in ("plain", view))
    if view not in module_spec(module).views:
        assert torch.equal(plain, seen)
    elif not torch.equal(plain, known(module, 8)[0]):  # something was found
        assert not torch.equal(plain, seen)
    assert all(m.view == "plain" and not m.training for m in trained(module)[0].inserted.values())


@every_module
@pytest.mark.parametrize("view", ["plain", "soft", "train"])
def test_a_module_says_whether_it_draws(module, view):
    """An attack does not try, and lets go of nobody where draws depend on how many there are."""
    model, _ = trained(module)
    seen = Surrogate(model.eval(), view)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    model.draw_from(generator)
    seen(batch(2)[0])
    drew = not torch.equal(generator.get_state(), before)
    assert says_it_draws(seen) == drew
    if view == "plain":
        assert says_it_draws(model) == drew == draws(model)
