"""What every training attack promises, on networks with every module."""

import functools
import random
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.support.contract_cases import DIGITS, EVERY_MODULE, RESNET, batch, draws, module_spec, network, seeded, spec, specs
from tests.support.pairwise import pairwise_product
from trainables import config
from trainables.attacks import Adversarial, training_attack
from trainables.attacks.building_blocks.ball import Linf
from trainables.models import build_model

NAMES = list(specs(config.TrainingAttack))

#: The others look at a batch as a whole: one moves it by optimal transport, the other mirrors it.
ONE_BY_ONE = sorted({*NAMES} - {"feature-scattering", "adversarial-interpolation"})

every_attack = pytest.mark.parametrize("name", NAMES)
every_module = pytest.mark.parametrize("module", EVERY_MODULE)


@functools.cache
def trained(module):
    return network(module_spec(module))[0]


def run(name, module, model, x, y, seed=0, epoch=1, **settings):
    generator = torch.Generator().manual_seed(seed)
    attack = spec(config.TrainingAttack, name, **settings)
    return training_attack(attack, module_spec(module), seeded(model), x, y, generator, epoch)


def test_without_an_attack_the_images_come_back():
    x, y = batch(2)
    assert training_attack(None, module_spec("none"), trained("none"), x, y, torch.Generator(), 1) == Adversarial(x, None)


@pairwise_product("name, module, n", NAMES, EVERY_MODULE, [1, 3, 8])
def test_the_budget_and_the_range_are_kept(name, module, n):
    x, y = batch(n)
    x_adv, targets = run(name, module, trained(module), x, y)
    assert (x_adv.shape, x_adv.dtype, x_adv.requires_grad) == (x.shape, x.dtype, False)
    assert 0 < (x_adv - x).abs().max() <= 0.1 + 1e-6
    assert 0 <= x_adv.min() <= x_adv.max() <= 1
    if targets is not None:
        assert (targets.shape, targets.requires_grad) == ((n, 10), False)
        torch.testing.assert_close(targets.sum(1), torch.ones(n))


@pairwise_product("name, module, fails", NAMES, EVERY_MODULE, [False, True])
def test_nothing_else_is_changed(name, module, fails):
    """Modes, gradients, statistics and global generators; after an error in the model too."""
    model = network(module_spec(module))[0].train()
    list(model.modules())[2].eval()
    next(model.parameters()).requires_grad_(False)
    for i, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, i) if i % 2 else None
    x, y = batch(3)

    def state():
        numbers = [*model.state_dict().values(), *(p.grad for p in model.parameters() if p.grad is not None), x, y]
        modes = [(m.training, getattr(m, "track_running_stats", None)) for m in model.modules()]
        flags = [(p.requires_grad, p.grad is None) for p in model.parameters()]
        chance = torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].astype(np.int64)), random.getstate()
        return [t.clone() for t in (*numbers, *chance[:2])], (modes, flags, chance[2], torch.is_grad_enabled())

    tensors, others = state()
    every = specs(config.TrainingAttack)[name].model_fields
    for settings in [{"bn": bn} for bn in ("eval", "train")] if "bn" in every else [{}]:
        if fails:
            with patch.object(model.fc, "forward", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
                run(name, module, model, x, y, **settings)
        else:
            run(name, module, model, x, y, **settings)
        after, others_after = state()
        assert all(torch.equal(a, b) for a, b in zip(tensors, after, strict=True))
        assert others == others_after


@every_attack
@every_module
def test_a_generators_seed_decides_every_bit(name, module):
    one, same, other = (run(name, module, trained(module), *batch(8), seed=s).images for s in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@every_module
@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_an_example_does_not_depend_on_its_batch(name, module):
    """Each example's own objective is maximised: alone it ends where it ends among others, from the same start."""
    model = trained(module)
    if draws(model):
        pytest.skip("the noise is drawn for the whole batch")
    x, y = batch(6, torch.float64)
    with patch.object(Linf, "_uniform", lambda self, generator: self.x + 0.03):
        together = run(name, module, model.double(), x, y, epoch=100).images
        alone = [run(name, module, model, x[i : i + 1], y[i : i + 1], epoch=100).images for i in range(6)]
    model.float()
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-9)


@every_attack
def test_the_callers_gradient_setting_does_not_matter(name):
    with torch.no_grad():
        without = run(name, "cas", trained("cas"), *batch(8)).images
    assert torch.equal(without, run(name, "cas", trained("cas"), *batch(8)).images)


@pytest.mark.parametrize("name", [n for n, s in specs(config.TrainingAttack).items() if "beta_atk" in s.model_fields])
def test_the_inserted_modules_are_aimed_at_or_not(name):
    ends = [run(name, "cas", trained("cas"), *batch(8), epoch=100, beta_atk=b).images for b in ("own", "0")]
    assert not torch.equal(*ends)


@every_attack
@every_module
def test_it_never_waits_for_the_device(name, module):
    """With tensors that hold no value, every question about one is an error."""
    with FakeTensorMode(), patch.object(Linf, "_uniform", lambda self, generator: self.x):
        model = seeded(build_model(RESNET, module_spec(module), DIGITS, seed=0))
        x, y = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
        attack = spec(config.TrainingAttack, name)
        training_attack(attack, module_spec(module), model, x, y, torch.Generator(), 1)
