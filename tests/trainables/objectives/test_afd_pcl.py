"""Objectives that train further weights, against their equations, and which weights each of their steps changes."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainables.config import AFD, DATASETS, PCL, Data, Model, Training, TrainingPGD, TrialConfig
from trainables.models import build_model
from trainables.objectives import build_learner
from trainables.objectives.afd import Discriminator


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


@pytest.mark.parametrize("projection", [False, True])
@pytest.mark.parametrize("depth", range(1, 6))
def test_the_discriminator_is_as_deep_as_it_says_and_sees_the_label_where_it_does(depth, projection, generator):
    """Table A6's FC1-PD, FC3 and FC3-PD, and those between."""
    ours = discriminator(depth=depth, projection=projection).eval()
    assert len(ours.layers) + 1 == depth
    assert (ours.embedding is not None) == projection
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


def test_the_discriminator_starts_as_in_the_authors_code():
    """Glorot's bound is sqrt(6 / (inputs + outputs)), and torch's for linear layers 1 / sqrt(inputs)."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        ours, shallow = (Discriminator(AFD(depth=depth), channels=512, classes=10) for depth in (3, 1))
    bounds = {ours.layers[0]: 512**-0.5, ours.linear: (6 / 513) ** 0.5, ours.embedding: (6 / 522) ** 0.5}
    for layer, bound in bounds.items():
        weight = layer.parametrizations.weight.original
        assert 0.98 * bound < weight.abs().max().item() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    # models.cifar_models.SNPDFC3 and SNPDFC1NoBN of BashivanLab/afd, commit 7631421, with 512 features and 10 classes.
    assert [sum(p.numel() for p in own.parameters()) for own in (ours, shallow)] == [530_945, 5_633]


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
    out, out_adv = (Da(network(images, y).features.detach(), y) for images in (x, x_adv))
    theirs.own.zero_grad()
    (F.softplus(-out) + F.softplus(out_adv)).mean().backward()
    theirs.optimizers["discriminator"].step()
    network.zero_grad()
    F.softplus(-Da(network(x_adv, y).features, y)).mean().backward()
    theirs.optimizers["encoder"].step()
    for a, b in zip(ours.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(Da.parameters(), ours.own.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("forwards", "loss", "natural"),
    [
        ("needed", "softplus", [True, True, False]),
        ("needed", "critic", [True, True, False]),
        ("as-code", "softplus", [True, True, False, False, False]),
        ("as-code", "critic", [True, True, False, True, False, False, False]),
    ],
)
def test_afds_images_go_through_the_network_as_often_as_it_says(forwards, loss, natural, images):
    ours, passes = learner(AFD(hidden=6, forwards=forwards, loss=loss)), []
    ours.network.register_forward_pre_hook(lambda _, args: passes.append((args[0] is images[0], torch.is_grad_enabled())))
    ours.learn(*images)
    assert [of for of, _ in passes] == natural
    assert [graph for _, graph in passes] == [True, False, True, *[False] * (len(natural) - 3)]


@pytest.mark.parametrize(
    ("forwards", "loss", "times"),
    [("needed", "softplus", (2, 2)), ("as-code", "softplus", (3, 3)), ("as-code", "critic", (4, 3))],
)
def test_spectral_norms_iterate_once_for_every_pass_of_the_discriminator(forwards, loss, times, images):
    """The critic's penalty passes no labels. Iterations do not depend on features, so they are repeated here by hand."""
    ours = learner(AFD(hidden=6, forwards=forwards, loss=loss, lr_discriminator=1e-14))
    layers = dict(zip((ours.own.linear, ours.own.layers[0], ours.own.embedding), (times[0], times[0], times[1]), strict=True))
    expected = {}
    for layer, n in layers.items():
        weight, norm = layer.parametrizations.weight.original.detach(), layer.parametrizations.weight[0]
        norm._v.copy_(torch.linspace(1, 2, weight.shape[1]).double() / torch.linspace(1, 2, weight.shape[1]).double().norm())
        v = norm._v.clone()
        for _ in range(n):
            u = weight @ v
            v = weight.T @ (u / u.norm())
            v /= v.norm()
        expected[layer] = v
    ours.learn(*images)
    for layer, v in expected.items():
        torch.testing.assert_close(layer.parametrizations.weight[0]._v, v, atol=1e-9, rtol=0)


def test_running_statistics_see_adversarial_images_as_often_as_in_the_authors_code(images):
    """Of five passes, the last three: (1 + .9 + .81) / (1 + .9 + .81 + .729 + .6561) = .66."""
    ours = learner(AFD(hidden=6, lr_encoder=1e-14), lr=1e-14)
    x, x_adv, y = images
    with torch.no_grad():
        natural, adversarial = (ours.network.conv1(images).mean((0, 2, 3)) for images in (x, x_adv))
    for _ in range(40):
        ours.learn(x, x_adv, y)
    share = 2.71 / (2.71 + 0.729 + 0.6561)
    expected = share * adversarial + (1 - share) * natural
    torch.testing.assert_close(ours.network.bn1.running_mean, expected, atol=1e-8, rtol=0)


def squared(a, b):
    return sum((u - v) ** 2 for u, v in zip(a, b, strict=True))


def distances(f, own, c):
    """The squared distance to the own class's prototype, and the mean of those to the others' prototypes."""
    w, v = own.w.tolist(), own.v.tolist()
    others = [squared(f, v[k]) for k in range(len(v)) if k != c]
    return squared(f, w[c]), sum(others) / len(others)


@pytest.mark.parametrize("warmup", [0, 1])
@pytest.mark.parametrize("attacked", [False, True])
def test_pcl_adds_the_distances_after_its_warm_up(warmup, attacked, images):
    ours = learner(PCL(warmup=warmup, weight=0.3, push=0.02))
    x, x_adv, y = images
    kinds, w = [x, x_adv] if attacked else [x], ours.own.w.tolist()
    with torch.no_grad():
        found = ours.network(torch.cat(kinds), torch.cat([y] * len(kinds)))
    expected = []
    for b, c in enumerate(y.tolist()):
        values = []
        for row in range(b, len(found.logits), len(y)):
            pull, push = distances(found.features[row].tolist(), ours.own, c)
            ce = F.cross_entropy(found.logits[row : row + 1], y[b : b + 1]).item()
            values.append(ce + (0.3 * pull - 0.02 * push if warmup == 0 else 0))
        expected.append(sum(values) / len(values))
    value, outputs = ours.learn(x, kinds[-1], y)
    assert value.tolist() == pytest.approx(expected)
    assert torch.equal(outputs.logits, found.logits[-len(y) :])
    assert (ours.own.w.tolist() == w) == (warmup == 1)
    ours.end_epoch()
    ours.learn(x, kinds[-1], y)
    assert ours.own.w.tolist() != w


@pytest.mark.parametrize("weights", [{}, {"weight": 0.1, "push": 0.01}, {"weight": 0.0, "push": 0.0}])
def test_no_weight_changes_the_steps_of_prototypes(weights, images):
    spec = PCL(warmup=0, lr=0.2, lr_push=0.3, **weights)
    ours = learner(spec)
    x, _, y = images
    w, v = ours.own.w.detach().clone().requires_grad_(), ours.own.v.detach().clone().requires_grad_()
    with torch.no_grad():
        f = ours.network(x, y).features
    pull = torch.stack([(a - w[c]).square().sum() for a, c in zip(f, y, strict=True)]).mean()
    others = [(a - v[k]).square().sum() for a, c in zip(f, y, strict=True) for k in range(10) if k != c]
    (pull - torch.stack(others).mean()).backward()
    ours.learn(x, x, y)
    rates = (0.2 if spec.weight else 0, 0.3 if spec.push else 0)
    torch.testing.assert_close(ours.own.w, w - rates[0] * w.grad)
    torch.testing.assert_close(ours.own.v, v - rates[1] * v.grad)
