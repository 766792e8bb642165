"""Adaptive attacks: through another view of the modules, on several heads at once, with averaged gradients."""

import pytest
import torch
import torch.nn.functional as F

from tests.support.linear_model import Linear, images
from trainables import config
from trainables.attacks import run_attack
from trainables.attacks.building_blocks.gradient import Expectation, slope
from trainables.attacks.building_blocks.harm import in_turn
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.losses import cross_entropy, margin
from trainables.attacks.building_blocks.surrogate import JointLogits, Surrogate, errs, viewed
from trainables.config import CAS, CIFS, DATASETS, FSR, KWTA, SAP, Model
from trainables.models import build_model
from trainables.models.network import initialise_as_he
from trainables.modules.cifs import soft_top
from trainables.outputs import Outputs

EVERY = [CAS, CIFS, FSR, KWTA, SAP]


def module(spec):
    """The module of ``spec``, with weights far from 0, and features (5, 8, 3, 3)."""
    from trainables.config.terms.registry import MODULE

    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = MODULE.load(spec.name)(spec, 0, 8, 4).double().eval()
        for p in ours.parameters():
            p.data.mul_(3)
        z = torch.rand(5, 8, 3, 3, dtype=torch.float64)
    ours.generator = torch.Generator().manual_seed(0)
    return ours, z


def soft(ours, z):
    with viewed(ours, "soft"):
        return ours(z).z


def test_cas_is_the_mean_of_all_classes_masks():
    ours, z = module(CAS(positions=("P1",)))
    p = ours.fc(z.mean((2, 3))).softmax(1)
    expected = sum(p[:, c, None, None, None] * z * ours.fc.weight[c, :, None, None] for c in range(4))
    torch.testing.assert_close(soft(ours, z), expected)
    ours.fc.weight.data.mul_(1e4)  # where one class has all the probability, it is argmax's
    torch.testing.assert_close(soft(ours, z), ours(z).z)


def test_cifs_mask_has_a_gradient():
    ours, z = module(CIFS(positions=("P1",), probes=("mlp",), top_k=2))
    z.requires_grad_()
    f = z.mean((2, 3)).detach().requires_grad_()
    logits = ours.probe(f)
    weights = soft_top(logits, 2).detach()
    (g,) = torch.autograd.grad((weights * logits).sum(), f)
    torch.testing.assert_close(soft(ours, z), z * ours.mask(g)[:, :, None, None])

    ramp = torch.arange(8.0, dtype=torch.float64)[:, None, None]  # a softmax has a sum of 1 for every z

    def mask_gradient(output):
        share = ramp * output / z.detach()
        return torch.autograd.grad(share.sum(), z)[0] - share.detach() / z.detach()

    assert mask_gradient(ours(z).z).abs().max() < 1e-9
    assert mask_gradient(soft(ours, z)).abs().max() > 1e-3


def test_soft_top_is_top_of_what_is_far_apart():
    logits = torch.tensor([[0.0, 100.0, -50.0, 50.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(soft_top(logits, 2), torch.tensor([[0.0, 1, 0, 1], [0.5] * 4], dtype=torch.float64))
    torch.testing.assert_close(soft_top(logits, 4), torch.ones(2, 4, dtype=torch.float64))


@pytest.mark.parametrize("mask", ["gumbel", "binary"])
def test_fsrs_mask_is_at_tau_1(mask):
    ours, z = module(FSR(mask=mask))
    twin, _ = module(FSR(mask="gumbel", tau=1.0))
    torch.testing.assert_close(soft(ours, z), twin(z).z)
    assert not torch.allclose(soft(ours, z), ours(z).z)


def test_fsrs_noise_is_on_in_training_view_and_its_batch_norms_stay():
    ours, z = module(FSR())
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    with viewed(ours, "train"):
        one, other = ours(z).z, ours(z).z
    assert not torch.equal(one, other)
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())
    assert not any(m.training for m in ours.modules())


def test_kwta_lets_gradients_through_to_losers():
    ours, z = module(KWTA(ratio=0.1))
    z.requires_grad_()
    losers = ours(z).z == 0
    assert torch.autograd.grad(ours(z).z.sum(), z)[0][losers].abs().max() == 0
    assert torch.autograd.grad(soft(ours, z).sum(), z)[0][losers].abs().max() > 0.01
    kept = ~losers & (z > 0.98)
    torch.testing.assert_close(soft(ours, z)[kept], z[kept], rtol=0.5, atol=0)


def test_saps_expectation_is_the_identity():
    ours, z = module(SAP())
    assert torch.equal(soft(ours, z), z)
    torch.testing.assert_close(torch.stack([ours(z).z for _ in range(3000)]).mean(0), z, rtol=0.15, atol=0.02)


@pytest.mark.parametrize("spec", EVERY, ids=lambda s: s.__name__)
def test_a_view_ends_with_its_block_even_after_an_error(spec):
    ours, _ = module(spec())
    seen = []

    def fail():
        with viewed(ours, "train"):
            seen.append((ours.view, ours.training))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [("train", True)]
    assert (ours.view, ours.training) == ("plain", False)


def test_the_network_and_not_its_view_decides_what_is_broken(generator):
    """An attack keeps a point only if the network itself misclassifies it."""
    network = build_model(Model(name="resnet-10", width=4), CAS(positions=("block4.1",)), DATASETS["digits"], seed=0).eval()
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        initialise_as_he(network)
    network.inserted["block4_1"].fc.weight.data.mul_(30)
    x = torch.rand(40, 1, 8, 8, generator=generator)
    with torch.no_grad():
        y = network(x).logits.argmax(1)
        shown = Surrogate(network, "soft")(x).logits.argmax(1)
    assert (shown != y).any()  # on some examples the two disagree from the start
    for spec in (config.FAB(eps=0.3, iterations=5, view="soft"), config.DDN(eps=2.0, iterations=10, view="soft")):
        found, distance, *_ = run_attack(spec, network, x, y, (1.0, 0.0), generator)
        with torch.no_grad():
            assert torch.equal(errs(network(found).logits, y), distance <= spec.eps)
        assert (distance > 0).all()
    apgd = config.AutoPGD(eps=0.1, iterations=8, view="soft")
    once = run_attack(apgd, network, x, y, (1.0, 0.0), torch.Generator().manual_seed(0)).images
    with torch.no_grad():
        there = errs(network(once).logits, y)
        assert there.any()
        assert not torch.equal(there, errs(Surrogate(network, "soft")(once).logits, y))


def test_joint_logits_have_the_joint_margin_and_the_final_heads_own_logits(generator):
    model, x = Linear(generator, classes=5, aux=2), images(generator, 7)
    y = torch.randint(5, (7,), generator=generator)
    weights = (1.0, 0.5, 2.0)
    with torch.no_grad():
        outputs = model(x)
        mixed = JointLogits(model, weights, x.dtype)(x)
        z_y = mixed.gather(1, y[:, None])
        each = [(w, z) for w, z in zip(weights, (outputs.logits, *outputs.aux), strict=True)]
        expected = sum(w * (z - z.gather(1, y[:, None])) for w, z in each) / 3.5
        torch.testing.assert_close(mixed - z_y, expected)
        product = torch.stack([w / 3.5 * F.log_softmax(z, 1) for w, z in each]).sum(0)
        torch.testing.assert_close(mixed.softmax(1), product.softmax(1))
        assert torch.equal(JointLogits(model, (1.0, 0.0, 0.0), x.dtype)(x), outputs.logits)
        assert torch.equal(JointLogits(model, (0.0, 0.0, 0.5), x.dtype)(x), outputs.aux[1])


@pytest.mark.parametrize("draws", [1, 3])
def test_a_gradient_is_the_mean_over_draws(draws, generator):
    """On a network that multiplies by a random number, through a transform that does so too."""
    x, y = images(generator, 3), torch.tensor([0, 1, 1])
    model = Linear(generator)
    numbers = iter([0.5, 2.0, 4.0])

    def transform(x):
        return x * next(numbers)

    objective = joint_objective((1.0,), margin)
    found = slope(model, x, y, objective, Expectation(draws, transform))
    singles = [slope(model, x * f, y, objective) for f in (0.5, 2.0, 4.0)[:draws]]
    torch.testing.assert_close(found.value, sum(s.value for s in singles) / draws)
    scaled = [f * s.gradient for f, s in zip((0.5, 2.0, 4.0), singles, strict=False)]
    torch.testing.assert_close(found.gradient, sum(scaled) / draws)


class Noisy(torch.nn.Module):
    """A linear model whose logits a random factor multiplies, so that single gradients often point the wrong way."""

    def __init__(self, generator):
        super().__init__()
        self.linear, self.generator = Linear(generator), generator

    def forward(self, x):
        logits = self.linear(x).logits
        noise = torch.randn(len(x), 2, 16, generator=self.generator, dtype=x.dtype)
        return Outputs(logits + 4 * (noise * x.flatten(1)[:, None]).sum(2), (), x.flatten(1), x)


SPECS = {
    "pgd": config.PGD,
    "mim": config.MIM,
    "apgd": config.AutoPGD,
    "md": config.MD,
    "fgsm": config.FGSM,
    "avg-pgd": config.AvgPGD,
}


@pytest.mark.parametrize("name", SPECS)
def test_averaged_gradients_succeed_where_single_draws_fail(name, generator):
    model, x = Noisy(generator), images(generator, 40)
    with torch.no_grad():
        y = model.linear(x).logits.argmax(1)
    settings = {"step": 0.02, "iterations": 10} if name in ("pgd", "mim", "avg-pgd") else {}
    settings |= {"iterations": 10, "first": 2} if name == "md" else {"iterations": 10} if name == "apgd" else {}

    def gain(draws):
        field = {"samples" if name == "avg-pgd" else "eot": draws}
        spec = SPECS[name](eps=0.1, **settings, **field)
        found = run_attack(spec, model, x, y, (1.0,), generator).images
        with torch.no_grad():
            return cross_entropy(model.linear(found).logits, y).mean().item()

    assert gain(30) > gain(1)


def test_attacks_in_turn_get_the_unbroken_examples(generator):
    model, x = Linear(generator, classes=3), images(generator, 30)
    with torch.no_grad():
        y = model(x).logits.argmax(1)
    y[:5] = (y[:5] + 1) % 3
    seen = []

    def attack(size):
        def move(x, y):
            seen.append(len(x))
            return (x + size * (torch.rand(x.shape, generator=generator, dtype=x.dtype) - 0.5)).clamp(0, 1)

        return move

    found = in_turn(model, x, y, [attack(s) for s in (0.1, 1.0, 3.0)])
    with torch.no_grad():
        wrong = errs(model(found).logits, y)
    assert seen[0] == 25
    assert seen == sorted(seen, reverse=True)
    assert wrong.sum() >= 30 - seen[-1]
    assert torch.equal(found[:5], x[:5])
    assert torch.equal(in_turn(model, x[:5], y[:5], [attack(1.0)]), x[:5])


def test_ties_and_nan_count_as_wrong():
    nan = float("nan")
    logits = torch.tensor([[1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [nan, 0.0, 0.0], [2.0, nan, 0.0], [0.0, 1.0, 2.0]])
    assert errs(logits, torch.zeros(5, dtype=torch.int64)).tolist() == [True, False, True, True, True]
