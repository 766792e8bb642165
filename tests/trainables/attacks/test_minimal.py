"""Attacks with minimal perturbations against linear models, where these are known, and against foolbox and pyautoattack."""

from typing import Any

import foolbox
import pytest
import torch
from pyautoattack.fab_pt import FABAttack_PT

from tests.support.linear_model import Linear
from tests.support.trained_digits import EPS, TRAININGS, examples, logits, robust, run
from trainables import config
from trainables.attacks import run_attack
from trainables.attacks.building_blocks.ball import length
from trainables.attacks.building_blocks.surrogate import errs

DUAL = {"linf": 1, "l2": 2, "l1": torch.inf}
BUDGETS = {"linf": EPS, "l2": 0.8, "l1": 4.0}


def title(value: Any) -> str | None:
    return f"{value.name}-{value.norm}" if hasattr(value, "norm") else None


#: Attack and how far beyond the nearest point it may end, as a share.
ORACLES: list[tuple[Any, float]] = [
    (config.DDN(eps=9.0, iterations=300, gamma=0.02), 0.02),
    (config.DeepFool(eps=1.0), 0.03),
    (config.DeepFool(eps=9.0, norm="l2"), 0.03),
    (config.CWL2(eps=9.0, iterations=100, step=0.005, initial=0.1), 0.02),
    (config.FAB(eps=1.0), 0.01),
    (config.FAB(eps=9.0, norm="l2"), 0.01),
    (config.FAB(eps=9.0, norm="l1"), 0.01),
    (config.BrendelBethge(eps=9.0, iterations=200, lr=0.01), 0.02),
    (config.Boundary(eps=9.0, iterations=3000), 0.4),
]


@pytest.mark.parametrize(("spec", "share"), ORACLES, ids=title)
def test_a_linear_models_nearest_boundary_is_found(spec, share, generator):
    """Two classes, and images so close to the boundary that no pixel comes near 0 or 1."""
    model = Linear(generator).float()
    x = 0.5 + 0.02 * (2 * torch.rand(8, 1, 4, 4, generator=generator) - 1)
    model.bias.data[0] = -model.weight[0].data.sum(1) / 2
    with torch.no_grad():
        z = model(x).logits
        w = model.weight[0, 1] - model.weight[0, 0]
        expected = (z[:, 1] - z[:, 0]).abs() / torch.linalg.vector_norm(w, DUAL[spec.norm])
    y = z.argmax(1)
    images, distance, *_ = run_attack(spec, model, x, y, (1.0,), generator)
    assert (distance >= expected - 1e-5).all()
    near = distance <= (1 + share) * expected + 3e-4
    assert near.sum() >= 8 - (spec.name == "brendel-bethge")  # whose walk may get stuck
    torch.testing.assert_close(length(images - x, spec.norm), distance)


FOOLBOX: list[tuple[Any, Any]] = [
    (config.DDN(eps=0.8, iterations=30), foolbox.attacks.DDNAttack(steps=30)),
    (config.DeepFool(eps=EPS, iterations=5), foolbox.attacks.LinfDeepFoolAttack(steps=5)),
    (config.DeepFool(eps=0.8, norm="l2", iterations=5), foolbox.attacks.L2DeepFoolAttack(steps=5)),
    (
        config.CWL2(eps=0.8, iterations=20, searches=3, initial=1.0),
        foolbox.attacks.L2CarliniWagnerAttack(3, 20, stepsize=0.05, initial_const=1.0, abort_early=False),
    ),
]


#: DDN on every network, the others on one of them.
FOOLBOX_CASES = [(*case, t) for case in FOOLBOX for t in (TRAININGS if case[0].name == "ddn" else ["AT"])]


@pytest.mark.parametrize(("spec", "library", "training"), FOOLBOX_CASES, ids=title)
def test_foolbox_alone_finds_equal_distances(training, spec, library, record_property):
    network, (x, y) = robust(training), examples()
    images, distance, *_ = run(spec, network, x, y)
    with torch.random.fork_rng():
        model = foolbox.PyTorchModel(logits(network), bounds=(0, 1), device="cpu")
        theirs = library.run(model, x, foolbox.criteria.Misclassification(y))
    with torch.no_grad():
        is_adv = errs(network(theirs).logits, y)
    far = torch.where(is_adv, length(theirs - x, spec.norm), torch.inf)
    for eps in (spec.eps / 2, spec.eps, 2 * spec.eps):
        here, there = (100 * (d > eps).double().mean().item() for d in (distance, far))
        record_property(f"accuracies at {eps}", (here, there))
        assert abs(here - there) <= 0.5
    with torch.no_grad():
        assert torch.equal(errs(network(images).logits, y), distance <= spec.eps)


@pytest.mark.parametrize(("norm", "training"), [*(("linf", t) for t in TRAININGS), ("l2", "AT"), ("l1", "AT")])
def test_pyautoattacks_fab_alone_finds_equal_distances(training, norm, record_property):
    network, (x, y), eps = robust(training), examples(), BUDGETS[norm]
    distance = run(config.FAB(eps=eps, norm=norm, iterations=5), network, x, y).distance
    with torch.random.fork_rng():
        attack = FABAttack_PT(logits(network), norm=norm.capitalize(), n_iter=5, eps=eps, device="cpu")
        theirs = attack.perturb(x, y)
    with torch.no_grad():
        robustly = ~errs(network(theirs).logits, y) | (length(theirs - x, norm) > eps)
    here, there = 100 * (distance > eps).double().mean().item(), 100 * robustly.double().mean().item()
    record_property("accuracies", (here, there))
    assert abs(here - there) <= 0.5


def test_attacks_that_share_no_code_agree(record_property):
    """Median distances in L2, of those that AT classifies right."""
    network, (x, y) = robust("AT"), examples(100)
    specs: list[Any] = [config.DDN(eps=1.0, iterations=100), config.FAB(eps=1.0, norm="l2", iterations=20)]
    found = {spec.name: run(spec, network, x, y).distance for spec in specs}
    medians = {name: d[d > 0].median().item() for name, d in found.items()}
    record_property("medians", medians)
    assert max(medians.values()) < 1.1 * min(medians.values())


def test_a_misclassified_example_has_distance_0_and_keeps_its_image(generator):
    network, (x, _) = robust("standard"), examples(4)
    with torch.no_grad():
        y = (network(x).logits.argmax(1) + 1) % 10
    for name in ("ddn", "deepfool", "fab", "cw-l2", "boundary", "brendel-bethge"):
        images, distance, *_ = run(next(s for s, _ in ORACLES if s.name == name), network, x, y)
        assert torch.equal(images, x)
        assert distance.tolist() == [0, 0, 0, 0]


def test_an_example_that_is_never_misclassified_has_an_infinite_distance():
    network, (x, _) = robust("standard"), examples(4)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.arange(10.0))
    y = torch.full((4,), 9)
    for name in ("ddn", "deepfool", "fab", "boundary", "brendel-bethge"):
        spec = next(s for s, _ in ORACLES if s.name == name)
        images, distance, *_ = run(spec.model_copy(update={"iterations": 3}), network, x, y)
        assert torch.equal(images, x)
        assert distance.isinf().all()
