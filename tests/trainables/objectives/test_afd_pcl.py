"""Objectives that train further weights, against their equations, and which weights each of their steps changes."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainables.config import AFD, DATASETS, PCL, Data, Model, Training, TrainingPGD, TrialConfig
from trainables.models import build_model
from trainables.objectives import build_learner
from trainables.objectives.afd import Discriminator
from trainables.objectives.pcl import Prototypes


def learner(objective, **training):
    trial = TrialConfig(
        data=Data(dataset="digits"),
        model=Model(name="resnet-10", width=4),
        objective=objective,
        attack=TrainingPGD(eps=0.1, step=0.05, iterations=1),
        training=Training(**training),
    )
    ours = build_learner(trial, build_model(trial.model, trial.module, DATASETS["digits"], 0).train(), 1)
    ours.network.double()
    ours.own.double()
    return ours


@pytest.fixture
def images(generator):
    x, noise = (torch.rand(8, 1, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    return x, (x + 0.3 * (noise - 0.5)).clamp(0, 1), torch.randint(10, (8,), generator=generator)


def softplus(v):
    return math.log1p(math.exp(v))


def discriminator(**settings):
    with torch.random.fork_rng(devices=()):
        return Discriminator(AFD(hidden=7, **settings), channels=5, classes=3).double()


@pytest.mark.parametrize(
    ("name", "layers"),
    [("FC1-PD", ["linear", "embedding"]), ("FC3", [0, 1, "linear"]), ("FC3-PD", [0, 1, "linear", "embedding"])],
)
def test_the_discriminator_is_table_a6s(name, layers, generator):
    ours = discriminator(discriminator=name).eval()
    found = [*range(len(ours.layers)), "linear", *(["embedding"] if ours.embedding is not None else [])]
    assert found == layers
    f, y = torch.randn(4, 5, generator=generator, dtype=torch.float64), torch.tensor([0, 2, 2, 1])
    expected = []
    for h, c in zip(f.tolist(), y.tolist(), strict=True):
        for layer in ours.layers:
            W, bias = layer.weight.tolist(), layer.bias.tolist()
            z = [sum(w * v for w, v in zip(row, h, strict=True)) + b for row, b in zip(W, bias, strict=True)]
            h = [v if v > 0 else 0.2 * v for v in z]
        out = sum(w * v for w, v in zip(ours.linear.weight[0].tolist(), h, strict=True)) + ours.linear.bias.item()
        if ours.embedding is not None:
            out += sum(e * v for e, v in zip(ours.embedding.weight[c].tolist(), h, strict=True))
        expected.append(out)
    assert ours(f, y).tolist() == pytest.approx(expected)


def test_every_layer_of_the_discriminator_has_a_spectral_norm_of_one(generator):
    ours = discriminator()
    with torch.no_grad():
        for p in ours.parameters():
            p.mul_(5)
    f, y = torch.randn(4, 5, generator=generator, dtype=torch.float64), torch.tensor([0, 2, 2, 1])
    for _ in range(200):  # of power iteration, one a pass
        ours(f, y)
    for layer in (*ours.layers, ours.linear, ours.embedding):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("loss", ["softplus", "critic"])
def test_afds_losses_are_the_papers(loss, images):
    """Eq. 2 and Algorithm 1; with the steps so small that nothing changes from one to the next."""
    ours = learner(AFD(hidden=6, loss=loss, lr_encoder=1e-14, lr_discriminator=1e-14), lr=1e-14)
    x, x_adv, y = images
    value, outputs = ours.learn(x, x_adv, y)
    with torch.no_grad():
        clean, adv = ours.network(x, y), ours.network(x_adv, y)
        ours.own.eval()
        out, out_adv = ours.own(clean.features, y).tolist(), ours.own(adv.features, y).tolist()
    S = softplus if loss == "softplus" else float
    expected = [
        F.cross_entropy(clean.logits[b : b + 1], y[b : b + 1]).item() + S(-out[b]) + S(out_adv[b]) + S(-out_adv[b])
        for b in range(len(y))
    ]
    # The power iteration of the normalisation goes on from pass to pass.
    assert value.tolist() == pytest.approx(expected, abs=1e-3)
    torch.testing.assert_close(outputs.logits, adv.logits)
    right = sum(v > 0 for v in out) + sum(v < 0 for v in out_adv)
    assert ours.end_epoch() == {"discriminator_accuracy": pytest.approx(right / (2 * len(y)))}


def changed(ours, images, rates):
    """Which weights a step changes where only some of the three learning rates are above 0."""
    names = ("network", "discriminator", "encoder")
    for name in names:
        ours.optimizers[name].param_groups[0]["lr"] = 0.1 if name in rates else 0.0
    groups = {
        "decoder": list(ours.network.fc.parameters()),
        "encoder": [p for n, p in ours.network.named_parameters() if not n.startswith("fc.")],
        "discriminator": list(ours.own.parameters()),
    }
    before = {name: [p.detach().clone() for p in group] for name, group in groups.items()}
    ours.learn(*images)
    return {
        name for name, group in groups.items() if any(not torch.equal(a, b) for a, b in zip(group, before[name], strict=True))
    }


@pytest.mark.parametrize(
    ("step", "reached"), [("network", {"decoder", "encoder"}), ("discriminator", {"discriminator"}), ("encoder", {"encoder"})]
)
def test_each_of_afds_steps_reaches_its_own_weights_only(step, reached, images):
    assert changed(learner(AFD(hidden=6)), images, {step}) == reached


def test_only_afds_classification_decays_the_weights():
    ours = learner(AFD(), weight_decay=1e-4)
    decays = {name: o.param_groups[0]["weight_decay"] for name, o in ours.optimizers.items()}
    assert decays == {"network": 1e-4, "discriminator": 0, "encoder": 0}
    assert {name: o.param_groups[0]["lr"] for name, o in ours.optimizers.items()} == {
        "network": 0.1,
        "discriminator": 0.1,
        "encoder": 0.5,
    }


def test_afds_encoder_step_uses_the_updated_discriminator(images):
    """Three steps one after the other, done by hand on a second network."""
    ours, theirs = learner(AFD(hidden=6)), learner(AFD(hidden=6))
    x, x_adv, y = images
    ours.learn(x, x_adv, y)

    network, Da = theirs.network, theirs.own
    F.cross_entropy(network(x, y).logits, y).backward()
    theirs.optimizers["network"].step()
    out = Da(torch.cat([network(x, y).features, network(x_adv, y).features]).detach(), torch.cat([y, y]))
    theirs.own.zero_grad()
    (F.softplus(-out[:8]) + F.softplus(out[8:])).mean().backward()
    theirs.optimizers["discriminator"].step()
    network.zero_grad()
    F.softplus(-Da(network(x_adv, y).features, y)).mean().backward()
    theirs.optimizers["encoder"].step()
    for a, b in zip(ours.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(Da.parameters(), ours.own.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_afds_images_go_through_the_network_no_more_than_they_must(images):
    ours, passes = learner(AFD(hidden=6)), []
    ours.network.register_forward_pre_hook(lambda _, args: passes.append((args[0] is images[0], torch.is_grad_enabled())))
    ours.learn(*images)
    assert passes == [(True, True), (True, False), (False, True)]


def distance(a, b):
    return math.sqrt(sum((u - v) ** 2 for u, v in zip(a, b, strict=True)))


def conformity(f, w, c):
    others = [k for k in range(len(w)) if k != c]
    return distance(f, w[c]) - sum(distance(f, w[k]) + distance(w[c], w[k]) for k in others) / len(others)


def test_the_conformity_loss_is_eq_5(generator):
    prototypes = Prototypes(classes=4, channels=5, seed=0).double()
    f, y = torch.randn(6, 5, generator=generator, dtype=torch.float64, requires_grad=True), torch.tensor([0, 3, 1, 1, 2, 0])
    value = prototypes(f, y)
    expected = [conformity(a, prototypes.w.tolist(), c) for a, c in zip(f.tolist(), y.tolist(), strict=True)]
    assert value.tolist() == pytest.approx(expected)
    value.sum().backward()
    assert f.grad.isfinite().all()
    assert prototypes.w.grad.isfinite().all()


@pytest.mark.parametrize("warmup", [0, 1])
@pytest.mark.parametrize("attacked", [False, True])
def test_pcl_adds_the_conformity_after_its_warm_up(warmup, attacked, images):
    ours = learner(PCL(warmup=warmup, weight=0.3))
    x, x_adv, y = images
    kinds = [x, x_adv] if attacked else [x]
    w = ours.own.w.tolist()
    with torch.no_grad():
        found = [ours.network(images, y) for images in kinds]
    expected = []
    for b, c in enumerate(y.tolist()):
        values = [
            F.cross_entropy(out.logits[b : b + 1], y[b : b + 1]).item()
            + (0.3 * conformity(out.features[b].tolist(), w, c) if warmup == 0 else 0)
            for out in found
        ]
        expected.append(sum(values) / len(values))
    value, outputs = ours.learn(x, kinds[-1], y)
    assert value.tolist() == pytest.approx(expected)
    assert torch.equal(outputs.logits, found[-1].logits)
    assert (ours.own.w.tolist() == w) == (warmup == 1)
    ours.end_epoch()
    ours.learn(x, kinds[-1], y)
    assert ours.own.w.tolist() != w
