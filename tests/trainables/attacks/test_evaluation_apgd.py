"""Auto-PGD in evaluations, and AutoAttack, against pyautoattack on three networks."""

import pytest
import torch
from pyautoattack import AutoAttack
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from torch.nn.functional import cross_entropy

from tests.support.linear_model import Linear, images
from tests.support.trained_digits import EPS, accuracy, every_training, examples, logits, robust, run
from trainables import config
from trainables.attacks import run_attack
from trainables.attacks.building_blocks.ball import BALLS
from trainables.attacks.building_blocks.losses import dlr, margin, targeted_dlr
from trainables.config import AutoPGD

#: At 100 steps the library, which rounds checkpoints down where the paper rounds them up, has those of the paper.
STEPS = 100
BUDGETS = {"linf": EPS, "l2": 0.8}


LOSSES = [("ce", "linf"), ("dlr", "linf"), ("ce", "l2"), ("targeted-dlr", "linf")]


@pytest.mark.parametrize(("loss", "norm"), LOSSES)
@every_training
def test_apgd(training, loss, norm, record_property):
    """From the same starts; of what is classified right, as in pyautoattack. In float64, so that rounding parts no paths."""
    network, (x, y), eps = robust(training).double(), examples(200), BUDGETS[norm]
    x = x.double()
    with torch.no_grad():
        z = network(x).logits
    right = z.argmax(1) == y
    x, y, z = x[right], y[right], z[right]
    ours = run(AutoPGD(eps=eps, norm=norm, iterations=STEPS, loss=loss, targets=1), network, x, y).images
    start = BALLS[norm](x, eps).start("uniform", torch.Generator().manual_seed(0))
    kind = APGDAttack_targeted if loss == "targeted-dlr" else APGDAttack
    attack = kind(logits(network, torch.float64), n_iter=STEPS, norm=norm.capitalize(), eps=eps, device="cpu", seed=0)
    attack.loss = loss.replace("targeted-dlr", "dlr-targeted")
    attack.y_target = z.argsort(dim=1)[:, -2]
    attack.init_hyperparam(x)
    with torch.random.fork_rng():
        theirs = attack.attack_single_run(x, y, x_init=start)[3]
    here, there = accuracy(network, ours, y), accuracy(network, theirs, y)
    record_property("accuracies", (here, there))
    assert abs(here - there) <= 0.5


@every_training
def test_autoattack(training, record_property):
    """All parts together, with fewer steps, queries and targets, on fewer digits."""
    network, (x, y) = robust(training), examples(200)
    spec = config.AutoAttack(eps=EPS, iterations=25, queries=200, targets=3)
    ours = run(spec, network, x, y).images
    with torch.random.fork_rng():
        library = AutoAttack(logits(network), norm="Linf", eps=EPS, version="standard", seed=0, device="cpu")
        library.verbose = False
        library.apgd.n_iter = library.apgd_targeted.n_iter = library.fab.n_iter = 25
        library.apgd_targeted.n_target_classes = library.fab.n_target_classes = 3
        library.square.n_queries = 200
        theirs, _ = library.run_standard_evaluation(x, y, batch_size=200)
    here, there = accuracy(network, ours, y), accuracy(network, theirs, y)
    record_property("accuracies", (here, there))
    assert abs(here - there) <= 0.5


def test_the_parts_are_the_papers():
    standard = config.AutoAttack(eps=0.1, beta_atk="2", view="soft").parts
    assert [(p.name, p.eps, p.norm, p.beta_atk) for p in standard] == [
        (name, 0.1, "linf", "2") for name in ("apgd", "apgd", "fab", "square")
    ]
    assert [p.loss for p in standard[:2]] == ["ce", "targeted-dlr"]
    assert [p.view for p in standard[:3]] == ["soft"] * 3
    assert (standard[1].targets, standard[2].targets, standard[3].queries) == (9, 9, 5000)
    assert {p.iterations for p in standard[:3]} == {100}
    rand = config.AutoAttack(eps=1.0, norm="l2", version="rand").parts
    assert [(p.loss, p.eot, p.norm) for p in rand] == [("ce", 20, "l2"), ("dlr", 20, "l2")]
    assert [p.name for p in config.AutoAttack(eps=0.1, version="apgd-square").parts] == ["apgd", "square"]


def test_apgd_finds_a_linear_models_optimum_in_one_step(generator):
    model = Linear(generator)
    x, eps = images(generator, 6), 0.1
    with torch.no_grad():
        y = model(x).logits.argmax(1)
    w = model.weight[0].detach()
    best = (x + eps * torch.stack([(w[1 - c] - w[c]).sign() for c in y]).view_as(x)).clamp(0, 1)
    found = run_attack(AutoPGD(eps=eps, iterations=1), model, x, y, (1.0,), generator).images
    torch.testing.assert_close(found, best, rtol=0, atol=1e-12)


def test_each_target_is_the_next_of_the_best_wrong_classes(generator, monkeypatch):
    model = Linear(generator, classes=6)
    x = images(generator, 8)
    with torch.no_grad():
        ranked = model(x).logits.argsort(dim=1, descending=True)
    aimed_at = []
    monkeypatch.setattr("trainables.attacks.methods.apgd.targeted_dlr", lambda t: aimed_at.append(t) or targeted_dlr(t))
    spec = AutoPGD(eps=1e-9, iterations=1, loss="targeted-dlr", targets=3)  # in a ball so small that each is tried on all
    run_attack(spec, model, x, ranked[:, 0], (1.0,), generator)
    assert torch.equal(torch.stack(aimed_at, dim=1), ranked[:, 1:4])


def test_the_losses_are_the_papers(generator):
    z = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    y, t = (torch.randint(6, (20,), generator=generator) for _ in range(2))
    for i in range(20):
        pi = sorted(z[i].tolist(), reverse=True)
        z_y, other = z[i, y[i]].item(), max(v for c, v in enumerate(z[i].tolist()) if c != y[i])
        assert margin(z, y)[i].item() == pytest.approx(other - z_y)
        assert dlr(z, y)[i].item() == pytest.approx(-(z_y - other) / (pi[0] - pi[2]))
        towards = -(z_y - z[i, t[i]].item()) / (pi[0] - (pi[2] + pi[3]) / 2)
        assert targeted_dlr(t)(z, y)[i].item() == pytest.approx(towards)
    torch.testing.assert_close(dlr(1000 * z + 7, y), dlr(z, y))
    assert not torch.allclose(cross_entropy(1000 * z, y), cross_entropy(z, y))
