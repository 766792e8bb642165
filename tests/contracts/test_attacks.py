"""What every attack promises, on networks with every module."""

import functools
import random
from unittest.mock import patch

import numpy as np
import pytest
import torch
from cases import EVERY_MODULE, batch, draws, module_spec, network, seeded, spec, specs

from trainables import config
from trainables.attacks import ATTACKS, run_attack
from trainables.joint import attack_weights, joint


def test_the_configuration_and_the_table_hold_the_same_names():
    assert specs(config.Attack).keys() == ATTACKS.keys()


@functools.cache
def trained(module):
    return network(module_spec(module))


def attack(name, module, n=8, seed=0, dtype=torch.float32, **settings):
    model, weights = trained(module)
    x, y = batch(n, dtype)
    generator = torch.Generator().manual_seed(seed)
    return x, y, run_attack(spec(config.Attack, name, **settings), seeded(model, seed).to(dtype), x, y, weights, generator)


every_attack = pytest.mark.parametrize("name", ATTACKS)
every_module = pytest.mark.parametrize("module", EVERY_MODULE)


@every_attack
@every_module
@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_budget_and_the_range_are_kept(name, module, n):
    x, _, x_adv = attack(name, module, n)
    eps = getattr(spec(config.Attack, name), "eps", 0)
    assert x_adv.shape == x.shape
    assert x_adv.dtype == x.dtype
    assert not x_adv.requires_grad
    assert (x_adv - x).abs().max() <= eps + 1e-6
    assert 0 <= x_adv.min() <= x_adv.max() <= 1


@every_attack
@every_module
def test_the_loss_does_not_fall(name, module):
    model, weights = trained(module)
    x, y, x_adv = attack(name, module, 8)

    def value(images):
        with torch.no_grad():
            outputs = seeded(model).eval()(images)
            return joint(weights, lambda z: torch.nn.functional.cross_entropy(z, y, reduction="none"), outputs).mean()

    assert value(x_adv) >= value(x)
    if name != "natural":
        assert value(x_adv) > value(x) + 1e-3


@every_attack
@every_module
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_else_is_changed(name, module, fails):
    """Modes, gradients, statistics and global generators; after an error in the model too."""
    model, weights = network(module_spec(module))
    list(model.modules())[2].eval()
    next(model.parameters()).requires_grad_(False)
    for i, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, i) if i % 2 else None
    x, y = batch(3)

    def state():
        numbers = [*model.state_dict().values(), *(p.grad for p in model.parameters() if p.grad is not None), x, y]
        flags = [m.training for m in model.modules()], [(p.requires_grad, p.grad is None) for p in model.parameters()]
        chance = torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].astype(np.int64)), random.getstate()
        return [t.clone() for t in (*numbers, *chance[:2])], (flags, chance[2], torch.is_grad_enabled(), x.requires_grad)

    tensors, others = state()
    settings = {"restarts": 2} if "restarts" in specs(config.Attack)[name].model_fields else {}
    run = functools.partial(run_attack, spec(config.Attack, name, **settings), model, x, y, weights, torch.Generator())
    if fails and name != "natural":
        with patch.object(model.fc, "forward", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
            run()
    else:
        run()
    after, others_after = state()
    assert all(torch.equal(a, b) for a, b in zip(tensors, after, strict=True))
    assert others == others_after


@every_attack
@every_module
def test_a_generators_seed_decides_every_bit(name, module):
    one, other = (attack(name, module, seed=3)[2] for _ in range(2))
    assert torch.equal(one, other)


@every_attack
@every_module
def test_an_example_does_not_depend_on_its_batch(name, module):
    """Each example's own objective is maximised: alone it ends where it ends among others."""
    settings = {"start": "zero"} if "start" in specs(config.Attack)[name].model_fields else {}
    model, weights = trained(module)
    if draws(model):
        pytest.skip("the numbers that the network draws for an example depend on how many come before it")
    x, y, x_adv = attack(name, module, 8, dtype=torch.float64, **settings)
    attacker = spec(config.Attack, name, **settings)
    alone = [run_attack(attacker, model, x[i : i + 1], y[i : i + 1], weights, torch.Generator()) for i in range(8)]
    model.float()
    torch.testing.assert_close(torch.cat(alone), x_adv, rtol=0, atol=1e-9)


@every_attack
@every_module
def test_the_callers_gradient_setting_does_not_matter(name, module):
    with torch.no_grad():
        without = attack(name, module)[2]
    assert torch.equal(without, attack(name, module)[2])


@every_attack
def test_every_aim_of_an_adaptive_attacker_works(name):
    module = module_spec("cifs")
    model, _ = trained("cifs")
    x, y = batch(8)
    ends = []
    for beta_atk in ("0", "2", "inf", "inf-1", "inf-2", "own"):
        weights = attack_weights(beta_atk, module)
        ends.append(run_attack(spec(config.Attack, name), model, x, y, weights, torch.Generator().manual_seed(0)))
    if name != "natural":
        assert not any(torch.equal(ends[i], ends[j]) for i in range(5) for j in range(i))
        assert torch.equal(ends[5], ends[1])  # the module's own beta is 2
