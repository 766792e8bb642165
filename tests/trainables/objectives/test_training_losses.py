"""Objectives with every kind of head weights, against the papers' equations written out for each example."""

import math
from collections import Counter
from typing import Any

import pytest
import torch

from trainables import config
from trainables.config import ALP, AT, CAS, CIFS, DATASETS, MART, TRADES, FeatureMatching, L2Matching, Model, NoModule, Standard
from trainables.config.terms.registry import OBJECTIVE
from trainables.joint import training_weights
from trainables.models import build_model
from trainables.objectives import loss
from trainables.objectives.feature_matching import grad_cam
from trainables.objectives.loss import cross_entropy as torch_cross_entropy
from trainables.objectives.mart import boosted_cross_entropy

PLACES = ("block3.1", "block4.1")
BETA = 3.0
CLASSES = 10


def softmax(z):
    total = sum(math.exp(v) for v in z)
    return [math.exp(v) / total for v in z]


def cross_entropy(z, c, smoothing=0.0):
    others = smoothing / (len(z) - 1)
    return -sum((1 - smoothing if k == c else others) * math.log(p) for k, p in enumerate(softmax(z)))


def kl(z, z_adv):
    return sum(p * math.log(p / q) for p, q in zip(softmax(z), softmax(z_adv), strict=True))


def mean_squares(one, other):
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / len(one)


def standard(spec, z, z_adv, c):
    return cross_entropy(z, c, spec.label_smoothing)


def at(spec, z, z_adv, c):
    return cross_entropy(z_adv, c, spec.label_smoothing)


def trades(spec, z, z_adv, c):
    return cross_entropy(z, c) + spec.lam * kl(z, z_adv)


def mart(spec, z, z_adv, c):
    p, p_adv = softmax(z), softmax(z_adv)
    bce = -math.log(p_adv[c]) - math.log(1.0001 - max(q for k, q in enumerate(p_adv) if k != c))
    return bce + spec.lam * kl(z, z_adv) * (1 - p[c])


def pairing(spec, z, z_adv, c):
    return (cross_entropy(z, c) + cross_entropy(z_adv, c)) / 2 + spec.weight * mean_squares(z, z_adv)


def clean(spec, z, z_adv, c):
    return cross_entropy(z, c)


def nothing_more(spec, model, b, c, out, out_adv):
    return 0.0


def cam(model, out, b, c):
    C, H, W = out.maps[b].shape
    A, w = out.maps[b].tolist(), model.fc.weight[c].tolist()
    return [max(0.0, sum(w[k] * A[k][i][j] for k in range(C))) for i in range(H) for j in range(W)]


def cams(spec, model, b, c, out, out_adv):
    return spec.weight * mean_squares(cam(model, out, b, c), cam(model, out_adv, b, c))


def representations(spec, model, b, c, out, out_adv):
    pairs = zip(out.features[b].tolist(), out_adv.features[b].tolist(), strict=True)
    return spec.weight * math.sqrt(sum((f - g) ** 2 for f, g in pairs))


#: The term of every head, and what is added once.
EQUATIONS = {
    "standard": (standard, nothing_more),
    "at": (at, nothing_more),
    "trades": (trades, nothing_more),
    "mart": (mart, nothing_more),
    "alp": (pairing, nothing_more),
    "feature-matching": (pairing, cams),
    "l2-matching": (clean, representations),
}

SPECS: list[Any] = [
    Standard(),
    Standard(label_smoothing=0.5),
    AT(),
    AT(label_smoothing=0.3),
    TRADES(),
    TRADES(lam=0.5),
    MART(),
    ALP(),
    FeatureMatching(),
    L2Matching(weight=0.7),
]


def vanilla(final, aux):
    return final


def cas(final, aux):
    """CAS eq. 5 and Table 7."""
    return final + BETA / len(aux) * sum(aux)


def cifs(final, aux):
    """CIFS eq. 3, times 3 as in its public code."""
    return 3 * (final / (1 + BETA) + BETA / ((1 + BETA) * len(aux)) * sum(aux))


MODULES = [
    (NoModule(), vanilla),
    (CAS(positions=PLACES, beta=BETA), cas),
    (CAS(positions=PLACES, beta=BETA, suppression=False), cas),
    (CIFS(beta=BETA).resolved(PLACES, Model(name="resnet-10").positions()), cifs),
]

every_module = pytest.mark.parametrize(("module", "over_heads"), MODULES)


@pytest.fixture
def images(generator):
    """Small images, whose last features have more than one place."""
    x, noise = (torch.rand(6, 1, 16, 16, generator=generator, dtype=torch.float64) for _ in range(2))
    return x, (x + 0.5 * (noise - 0.5)).clamp(0, 1), torch.randint(CLASSES, (6,), generator=generator)


def double_network(module):
    return build_model(Model(name="resnet-10", width=4), module, DATASETS["digits"], seed=0).double().train()


def test_every_objective_has_its_equation():
    functions = {name for name in OBJECTIVE.entries if not isinstance(OBJECTIVE.load(name), type)}
    assert EQUATIONS.keys() == functions == {spec.name for spec in SPECS}


@every_module
@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_the_loss_is_the_papers(spec, module, over_heads, images):
    x, x_adv, y = images
    model = double_network(module)
    value, outputs = OBJECTIVE.load(spec.name)(spec, model, x, x_adv, y, training_weights(module))
    term, extra = EQUATIONS[spec.name]
    with torch.no_grad():
        out, out_adv = model(x, y), model(x_adv, y)
        expected = []
        for b, c in enumerate(y.tolist()):
            final = term(spec, out.logits[b].tolist(), out_adv.logits[b].tolist(), c)
            aux = [term(spec, z[b].tolist(), z_adv[b].tolist(), c) for z, z_adv in zip(out.aux, out_adv.aux, strict=True)]
            expected.append(over_heads(final, aux) + extra(spec, model, b, c, out, out_adv))
    assert value.tolist() == pytest.approx(expected, rel=1e-9)
    assert torch.equal(outputs.logits, (out if isinstance(spec, Standard) else out_adv).logits)


def test_grad_cam_is_that_of_its_definition(images):
    """relu(sum_k alpha_k A_k), alpha_k the mean over the places of the class's gradient; but for the factor H W."""
    x, _, y = images
    model = double_network(NoModule())
    out = model(x, y)
    (gradient,) = torch.autograd.grad(out.logits.gather(1, y[:, None]).sum(), out.maps)
    expected = (gradient.mean((2, 3), keepdim=True) * out.maps).sum(1).relu()
    places = out.maps.shape[2] * out.maps.shape[3]
    assert places > 1
    torch.testing.assert_close(grad_cam(out.maps, model.fc.weight[y]) / places, expected)


def gradients(spec, module, x, x_adv, y):
    model = double_network(module)
    value = loss(spec, module, model, x, x_adv, y).value
    value.mean().backward()
    return value.detach(), [p.grad for p in model.parameters()]


@every_module
@pytest.mark.parametrize(
    ("spec", "base"),
    [(TRADES(lam=0), Standard()), (L2Matching(weight=0), Standard()), (FeatureMatching(weight=0), ALP(weight=0))],
)
def test_coefficients_of_zero_leave_the_base(spec, base, module, over_heads, images):
    value, grads = gradients(spec, module, *images)
    expected, expected_grads = gradients(base, module, *images)
    assert torch.equal(value, expected)
    assert all(torch.equal(g, e) for g, e in zip(grads, expected_grads, strict=True))


@every_module
def test_without_pairing_both_kinds_of_examples_are_averaged(module, over_heads, images):
    x, x_adv, y = images
    value, grads = gradients(ALP(weight=0), module, x, x_adv, y)
    parts = [gradients(Standard(), module, x, x_adv, y), gradients(AT(), module, x, x_adv, y)]
    torch.testing.assert_close(value, (parts[0][0] + parts[1][0]) / 2)
    for g, *others in zip(grads, *(part[1] for part in parts), strict=True):
        torch.testing.assert_close(g, sum(others) / 2)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_natural_images_go_through_the_network_first(spec, images):
    """Each image once, but for natural ones in TRADES' public code."""
    x, x_adv, y = images
    model = double_network(NoModule())
    seen: Counter[str] = Counter()
    model.register_forward_pre_hook(lambda _, args: seen.update(["clean" if args[0] is x else "adversarial"]))
    OBJECTIVE.load(spec.name)(spec, model, x, x_adv, y, (1.0,)).value.mean().backward()
    kinds = {"standard": ["clean"], "at": ["adversarial"]}.get(spec.name, ["clean", "adversarial"])
    assert seen == Counter([*kinds, *["clean"] * (getattr(spec, "clean_passes", 1) - 1)])
    assert list(seen) == kinds


@pytest.mark.parametrize(("spec", "order"), [(TRADES(), "cac"), (TRADES(clean_passes=1), "ca"), (MART(), "ca")], ids=repr)
def test_running_statistics_follow_the_passes_of_the_public_codes(spec, order, images):
    """Every pass moves them by a tenth; TRADES' code passes clean, adversarial, clean images: a third is adversarial."""
    x, x_adv, y = images
    model = double_network(NoModule()).train()
    means = {kind: model.conv1(batch).mean((0, 2, 3)) for kind, batch in (("c", x), ("a", x_adv))}
    expected = model.bn1.running_mean.clone()
    for kind in order:
        expected = 0.9 * expected + 0.1 * means[kind]
    OBJECTIVE.load(spec.name)(spec, model, x, x_adv, y, (1.0,))
    torch.testing.assert_close(model.bn1.running_mean, expected)


@pytest.mark.parametrize("spec", [TRADES(), MART(), ALP(), FeatureMatching()], ids=repr)
def test_an_attack_that_found_nothing_leaves_no_divergence(spec, images):
    x, _, y = images
    value, grads = gradients(spec, NoModule(), x, x.clone(), y)
    without = spec.model_copy(update={"lam" if "lam" in type(spec).model_fields else "weight": 0.0})
    torch.testing.assert_close(value, gradients(without, NoModule(), x, x.clone(), y)[0])
    assert all(g.isfinite().all() for g in grads)


def test_representations_that_agree_have_a_gradient_of_zero(images):
    x, _, y = images
    _, grads = gradients(L2Matching(), NoModule(), x, x.clone(), y)
    assert all(g.isfinite().all() for g in grads)


def test_mart_stays_finite_where_the_network_is_certain_and_wrong():
    z = torch.tensor([[1000.0, 0.0, 0.0]], requires_grad=True)
    value = boosted_cross_entropy(z, torch.tensor([1]))
    value.sum().backward()
    assert value.item() == pytest.approx(1000 - math.log(0.0001), rel=1e-3)
    assert z.grad.isfinite().all()


def test_distributions_may_stand_for_labels(images):
    """Those that label smoothing means, for AT."""
    x, x_adv, y = images
    model = double_network(NoModule())
    targets = torch.full((6, CLASSES), 0.3 / (CLASSES - 1), dtype=torch.float64).scatter(1, y[:, None], 0.7)
    soft = loss(AT(), NoModule(), model, x, x_adv, y, targets).value
    smoothed = loss(AT(label_smoothing=0.3), NoModule(), model, x, x_adv, y).value
    torch.testing.assert_close(soft, smoothed)
    torch.testing.assert_close(torch_cross_entropy(torch.zeros(1, 2), torch.tensor([0]), 0.5), torch.tensor([math.log(2)]))


ATTACK = config.TrainingPGD(eps=0.1, step=0.05, iterations=1)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"objective": Standard(), "attack": ATTACK}, "natural examples"),
        *(
            ({"objective": o, "attack": None}, f"{o.name}, which trains on adversarial examples")
            for o in (AT(), TRADES(), MART(), ALP(), FeatureMatching(), L2Matching(), config.AFD())
        ),
        ({"objective": config.PCL(warmup=120), "attack": None}, "warmup = 120: must be less than training.epochs = 120"),
        ({"training": config.Training(averaging=config.SWA(start=121))}, "start = 121: must be at most training.epochs = 120"),
        ({"training": config.Training(patience=120)}, "patience = 120: must be less than training.epochs = 120"),
    ],
)
def test_invalid_combinations_are_refused_with_the_reason(settings, reason):
    with pytest.raises(ValueError, match=reason):
        config.TrialConfig(**settings)


@pytest.mark.parametrize("attack", [None, ATTACK])
def test_prototypes_need_no_attack_and_take_one(attack):
    config.TrialConfig(objective=config.PCL(), attack=attack)
