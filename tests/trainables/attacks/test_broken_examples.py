"""Evaluations that stop at broken examples give the results of those that run every step on every example."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.shared import weights_once
from tests.support.trained_digits import ATTACK, EPOCHS, EPS, MODEL, every_training, examples, robust, run
from trainables import config, evaluation
from trainables.attacks import NEVER, SourceNetwork, run_attack
from trainables.attacks.building_blocks.ball import BALLS
from trainables.attacks.building_blocks.surrogate import draws, errs
from trainables.data import Examples, evaluation_batches
from trainables.evaluation import evaluate
from trainables.joint import attack_weights
from trainables.models import build_model
from trainables.rng import generator
from trainables.trial import Trial

#: Two batches and a smaller one.
N, BATCH = 120, 50

MODULES = {
    "none": config.NoModule(),
    "cas": config.CAS(positions=("block4.1", "block3.1")),
    "cifs": config.CIFS(positions=("block3.1", "block4.1")),
    "fsr": config.FSR(positions=("block4.1",)),
    "sap": config.SAP(positions=("block4.1",)),
}

STEP = {"eps": 0.1, "step": 0.03}
ATTACKS = [
    config.FGSM(eps=0.1),
    config.PGD(**STEP, iterations=8),
    config.PGD(**STEP, iterations=5, restarts=3, beta_atk="inf-1"),
    config.PGD(**STEP, iterations=5, restarts=2, view="soft"),
    config.PGD(**STEP, iterations=4, restarts=2, view="train", beta_atk="2"),
    config.PGD(eps=0.6, step=0.2, norm="l2", iterations=6, start="zero", eot=2),
    config.CW(**STEP, iterations=6, beta_atk="0"),
    config.AvgPGD(**STEP, iterations=4, samples=2),
    config.AvgPGD(**STEP, iterations=4, samples=2, radius=0.0),
    config.MIM(**STEP, iterations=6),
    config.DIFGSM(**STEP, iterations=6, smallest=0.7),
    config.MD(eps=0.1, iterations=6, first=3),
    config.MD(eps=0.1, iterations=6, first=3, view="soft"),
    config.AutoPGD(eps=0.1, iterations=6, restarts=2),
    config.FAB(eps=0.1, iterations=3),
    config.Square(eps=0.1, queries=20),
    config.Noise(eps=0.3, restarts=2),
    config.Transfer(source="0" * 16, attack=config.PGD(**STEP, iterations=4)),
    config.Natural(),
]


def title(attack):
    return f"{attack.name}-{getattr(attack, 'view', '')}-{getattr(attack, 'restarts', '')}-{getattr(attack, 'radius', '')}"


def _train(name):
    data = config.Data(dataset="digits", validation=0, crop=0, flip=False, examples=400)
    training = config.Training(epochs=3, batch_size=32, lr=0.1, schedule=config.OneCycle())
    selection = config.Selection(split="test", attack=config.Natural())
    attack = ATTACK.model_copy(update={"iterations": 2})
    spec = config.TrialConfig(
        data=data, model=MODEL, module=MODULES[name], training=training, selection=selection, attack=attack
    )
    trial = Trial(spec, config.Runtime(device="cpu", threads=1))
    while not trial.finished:
        trial.step()
    return trial.weights()


def network(name, dtype=torch.float32):
    weights = weights_once(f"cheap-{name}", lambda: _train(name))
    module = config.TrialConfig(data=config.Data(dataset="digits"), model=MODEL, module=MODULES[name]).module
    ours = build_model(MODEL, module, config.DATASETS["digits"], seed=0)
    ours.load_state_dict(weights)
    return ours.to(dtype).eval(), module


class Passes(nn.Module):
    """Counts the images that pass through a network with and without gradients."""

    def __init__(self, network):
        super().__init__()
        self.network, self.forward_backward, self.forward_only = network, 0, 0

    def forward(self, x):
        if x.requires_grad:
            self.forward_backward += len(x)
        else:
            self.forward_only += len(x)
        return self.network(x)


@pytest.fixture
def found(monkeypatch):
    """Evaluate an attack, complete or not, in several batches."""

    def both(name, attack, dtype):
        ours, module = network(name, dtype)
        attack = config.canonical_attack(attack, module)
        if attack is None:
            pytest.skip("it aims at a module that the network does not have")
        sources = {("0" * 16, "last"): SourceNetwork(network("none", dtype)[0], config.NoModule())}
        x, y = examples(N)
        test = Examples((255 * x).round().to(torch.uint8), y)

        def batches(*_):
            return ((images.to(dtype), labels) for images, labels in evaluation_batches(test, BATCH))

        monkeypatch.setattr(evaluation, "evaluation_batches", batches)
        weights = attack_weights(attack.aim, module)
        arguments = ours, test, attack, weights, 0, "stream", sources
        return ours, [evaluate(*arguments, complete=complete) for complete in (True, False)]

    return both


def same(attack, plain, cheap):
    assert list(cheap.ranks) == ["final"]
    for one, other in ((plain.broken, cheap.broken), (plain.distance, cheap.distance)):
        assert (one is None) == (other is None)
    assert np.mean(plain.ranks["final"] == 0) == np.mean(cheap.ranks["final"] == 0)
    for each in (plain, cheap):
        assert (each.broken is not None) == (attack.gradient_steps is not None)
        if each.broken is not None:
            assert each.broken.dtype == np.uint16
            assert ((each.broken == NEVER) == (each.ranks["final"] == 0)).all()
            assert each.broken[each.broken != NEVER].max() <= attack.gradient_steps


@pytest.mark.parametrize("attack", ATTACKS, ids=title)
@pytest.mark.parametrize("name", [name for name in MODULES if name != "sap"])
def test_stopping_changes_no_result(name, attack, found):
    """In double precision, example by example."""
    _, (plain, cheap) = found(name, attack, torch.float64)
    same(attack, plain, cheap)
    assert ((plain.ranks["final"] == 0) == (cheap.ranks["final"] == 0)).all()
    if plain.broken is not None:
        assert (plain.broken == cheap.broken).all()
    if plain.distance is not None:
        assert plain.distance == pytest.approx(cheap.distance, abs=1e-5)


@pytest.mark.parametrize("attack", ATTACKS[:3], ids=title)
@pytest.mark.parametrize("name", [name for name in MODULES if name != "sap"])
def test_stopping_changes_no_result_in_single_precision(name, attack, found):
    _, (plain, cheap) = found(name, attack, torch.float32)
    same(attack, plain, cheap)


@every_training
def test_stopping_changes_no_result_on_trained_networks(training):
    ours, (x, y) = robust(training), examples(200)
    assert EPOCHS > 3
    for spec in (config.PGD(eps=EPS, step=0.03, iterations=20), config.MIM(eps=EPS, step=0.03, iterations=10)):
        plain, cheap = (run_attack(spec, ours, x, y, (1.0,), torch.Generator(), complete=c).broken for c in (True, False))
        assert torch.equal(plain, cheap)


# --- when an example is broken ----------------------------------------------------------------------------------------


def by_hand(ours, x, y, spec):
    """Run PGD step by step, and the network at every point."""
    ball, draws = BALLS["linf"](x, spec.eps), torch.Generator().manual_seed(0)
    after = [errs(ours(x).logits, y)]  # [k]: whether some point is wrong that k steps lead to
    for _ in range(spec.restarts):
        x_adv = ball.start(spec.start, draws)
        wrong = [errs(ours(x_adv).logits, y)]
        for _ in range(spec.iterations):
            x_adv = x_adv.detach().requires_grad_()
            loss = nn.functional.cross_entropy(ours(x_adv).logits, y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x_adv)
            x_adv = (x_adv.detach() + spec.step * gradient.sign()).clamp(x - spec.eps, x + spec.eps).clamp(0, 1)
            wrong.append(errs(ours(x_adv).logits, y))
        if len(after) == 1:
            after = [after[0] | wrong[0], *wrong[1:]]
        else:  # a later restart's start counts with its first step
            after += [wrong[0] | wrong[1], *wrong[2:]]
    found = torch.stack(after)
    return torch.where(found.any(0), found.int().argmax(0), NEVER)


@pytest.mark.parametrize(("start", "restarts"), [("uniform", 1), ("zero", 1), ("uniform", 3)])
def test_broken_is_the_first_wrong_point(start, restarts):
    ours, (x, y) = robust("standard").double(), examples(150)
    spec = config.PGD(eps=0.1, step=0.02, iterations=6, start=start, restarts=restarts)
    expected = by_hand(ours, x.double(), y, spec)
    assert torch.equal(run(spec, ours, x.double(), y).broken, expected)
    assert len(expected.unique()) > 6


def test_fewer_steps_or_restarts_are_a_prefix():
    """An attack with fewer steps or restarts breaks the examples that the longer one broke within them."""
    ours, (x, y) = robust("standard").double(), examples(150)
    x = x.double()

    def broken(**fields):
        return run(config.PGD(eps=0.1, step=0.01, **fields), ours, x, y).broken

    whole = broken(iterations=12)
    for k in (1, 5, 8):
        assert torch.equal(broken(iterations=k), torch.where(whole <= k, whole, NEVER))
    often = broken(iterations=4, restarts=3)
    for r in (1, 2):
        assert torch.equal(broken(iterations=4, restarts=r), torch.where(often <= 4 * r, often, NEVER))


@pytest.mark.parametrize("complete", [False, True])
def test_images_are_those_that_broke_or_the_end_points(complete):
    ours, (x, y) = robust("standard"), examples(100)
    spec = config.PGD(eps=0.1, step=0.02, iterations=10)
    draws = torch.Generator().manual_seed(0)
    found = run_attack(spec, ours, x, y, (1.0,), draws, complete=complete)
    with torch.no_grad():
        wrong = errs(ours(found.images).logits, y)
    if complete:
        assert (wrong <= (found.broken < NEVER)).all()
    else:
        assert torch.equal(wrong, found.broken < NEVER)
        with torch.no_grad():
            as_it_is = errs(ours(x).logits, y)
        assert torch.equal(found.images[as_it_is], x[as_it_is])


def test_an_example_misclassified_unperturbed_is_broken_under_every_attack():
    """Even if noise or another network's image is classified correctly."""
    ours, (x, _) = robust("standard"), examples(60)
    sources = {("0" * 16, "last"): SourceNetwork(robust("AT"), config.NoModule())}
    noise = config.Noise(eps=0.5)  # for any labels
    for attack in (noise, config.Transfer(source="0" * 16, attack=noise)):
        images = run_attack(attack, ours, x, torch.zeros_like(x[:, 0, 0, 0]).long(), (1.0,), generator(0, "stream/0"), sources)
        with torch.no_grad():
            clean, y = (ours(z).logits.argmax(1) for z in (x, images.images))
        assert (clean != y).sum() > 10
        test = Examples((255 * x).round().to(torch.uint8), y)
        for complete in (False, True):
            found = evaluate(ours, test, attack, (1.0,), 0, "stream", sources, complete)
            assert (found.ranks["final"][(clean != y).numpy()] > 0).all()


def test_on_a_stochastic_network_the_end_point_decides():
    """Its predictions vary between forward passes, so that checking a hundred points would find more errors than one."""
    ours, _ = network("sap")
    assert draws(ours)
    x, y = examples(40)
    test = Examples((255 * x).round().to(torch.uint8), y)
    spec = config.PGD(**STEP, iterations=3)
    one, other = (evaluate(ours, test, spec, (1.0,), 0, "stream", complete=c) for c in (True, False))
    assert one.broken is None
    assert (one.ranks["final"] == other.ranks["final"]).all()


@pytest.mark.parametrize("separation", ["learned", "random"])
def test_a_module_declares_whether_it_is_stochastic(separation):
    spec = config.FSR(positions=("block4.1",), separation=separation)
    ours = build_model(MODEL, spec, config.DATASETS["digits"], seed=0).eval()
    assert draws(ours) == (separation == "random")
    assert draws(ours.train()) == (separation in ("learned", "random"))


# --- the work that stopping saves -------------------------------------------------------------------------------------


def counted(spec, complete):
    passes, (x, y) = Passes(robust("standard")).eval(), examples(100)
    broken = run_attack(spec, passes, x, y, (1.0,), torch.Generator(), complete=complete).broken
    return passes, broken


def test_only_unbroken_examples_are_attacked():
    spec = config.PGD(eps=EPS, step=0.02, iterations=30)
    plain, broken = counted(spec, complete=True)
    cheap, _ = counted(spec, complete=False)
    assert plain.forward_backward == 100 * 30
    # At the point that breaks it an example's gradient was taken already; those that never were attacked are not among them.
    attacked = broken[broken > 0]
    assert (attacked.clamp(max=29) + 1).where(attacked < NEVER, 30).sum() <= cheap.forward_backward + 100
    assert cheap.forward_backward < plain.forward_backward / 2
    assert cheap.forward_only <= 200


def test_with_a_view_broken_examples_leave_at_once_too():
    ours, module = network("cas")
    x, y = examples(100)
    spec = config.PGD(**STEP, iterations=3, restarts=4, view="soft")
    weights = attack_weights(config.Aim(0.0), module)
    seen = []
    handle = ours.register_forward_pre_hook(lambda _, inputs: seen.append((len(inputs[0]), inputs[0].requires_grad)))
    run_attack(spec, ours, x, y, weights, torch.Generator(), complete=False)
    handle.remove()
    sizes = [n for n, gradient in seen if gradient]
    assert len(sizes) == 12
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[3]
    assert len(set(sizes[:3])) > 1
