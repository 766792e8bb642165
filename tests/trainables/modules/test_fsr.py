"""FSRModule against the equations of its paper, written out, and the variants of its supplement."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainables import config
from trainables.config import FSR
from trainables.models import build_model
from trainables.modules.fsr import FSRModule, Split
from trainables.objectives import loss
from trainables.outputs import Outputs

B, C, H, W, CLASSES = 4, 6, 3, 5, 7


@pytest.fixture(autouse=True)
def _layers_may_draw():
    with torch.random.fork_rng(devices=()):
        yield


def build(generator, **settings):
    """A module in evaluation mode and double precision, with weights and statistics of some size."""
    module = FSRModule(FSR(positions=("block4.1",), **settings), 0, C, CLASSES).double().eval()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) / 5)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    module.generator = generator
    return module


@pytest.fixture
def z(generator):
    return torch.randn(B, C, H, W, generator=generator, dtype=torch.float64).relu().requires_grad_()


def plain_net(net, z):
    for i in (0, 3):
        z = F.conv2d(z, net[i].weight, padding=1)
        bn = net[i + 1]
        channels = []
        for k in range(64):
            normal = (z[:, k] - bn.running_mean[k]) / torch.sqrt(bn.running_var[k] + 1e-5)
            channels.append(bn.weight[k] * normal + bn.bias[k])
        z = torch.stack(channels, 1).clamp(min=0)
    return F.conv2d(z, net[6].weight, padding=1)


def plain(module, z, m):
    robust, nonrobust = m * z, (1 - m) * z
    recalibrated = nonrobust + (1 - m) * plain_net(module.rec, nonrobust)
    predictions = []
    for f in (robust, nonrobust, recalibrated):
        pooled = torch.stack([torch.stack([f[b, k].sum() / (H * W) for k in range(C)]) for b in range(B)])
        predictions.append(pooled @ module.fc.weight.T + module.fc.bias)
    return robust + recalibrated, *predictions


def ours(module, z):
    out, recalibrated, split = module(z)
    return out, *split, recalibrated


def check(module, z, m):
    for a, b in zip(ours(module, z), plain(module, z, m), strict=True):
        torch.testing.assert_close(a, b)


def gumbel_softmax(r, G1, G2, tau):
    p = torch.sigmoid(r)
    return torch.softmax(torch.stack([torch.log(p) + G1, torch.log(1 - p) + G2]) / tau, dim=0)[0]


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_without_noise(z, tau, generator):
    module = build(generator, tau=tau)
    r = plain_net(module.sep, z)
    check(module, z, torch.sigmoid(r / tau))
    torch.testing.assert_close(module.mask(z), gumbel_softmax(r, 0, 0, tau))


def test_gradients(z, generator):
    module = build(generator)
    weights = [torch.randn(o.shape, generator=generator, dtype=o.dtype) for o in ours(module, z)]
    inputs = [z, *module.parameters()]
    theirs = plain(module, z, torch.sigmoid(plain_net(module.sep, z) / 0.1))
    grads = [
        torch.autograd.grad(sum((w * o).sum() for w, o in zip(weights, out, strict=True)), inputs)
        for out in (ours(module, z), theirs)
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_noise_is_the_difference_of_two_gumbel_variables(tau, generator, monkeypatch):
    module = build(generator, tau=tau).train()
    r = 3 * torch.randn(1000, generator=generator, dtype=torch.float64)
    G1, G2 = -torch.log(-torch.log(torch.rand(2, 1000, generator=generator, dtype=torch.float64)))
    monkeypatch.setattr(module, "uniform", lambda *shape, like: torch.sigmoid(G1 - G2))
    torch.testing.assert_close(module.gumbel_sigmoid(r), gumbel_softmax(r, G1, G2, tau))


@pytest.mark.parametrize("r", [-2.0, 0.0, 0.5, 4.0])
@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_the_masks_distribution(r, tau, generator):
    """P[m > 1/2] = p, and P[m > t] = sigmoid(r - tau logit t) for every t."""
    n = 100_000
    module = build(generator, tau=tau).train()
    m = module.gumbel_sigmoid(torch.full((n,), r))
    assert (m > 0.5).float().mean().item() == pytest.approx(1 / (1 + math.exp(-r)), abs=0.008)
    for t in (0.01, 0.3, 0.9):
        expected = 1 / (1 + math.exp(-(r - tau * math.log(t / (1 - t)))))
        assert (m > t).float().mean().item() == pytest.approx(expected, abs=0.008)
    assert 0 <= m.min() <= m.max() <= 1


@pytest.mark.parametrize("extreme", [0.0, 1 - 2**-24])
def test_the_extremes_of_the_noise_have_a_gradient(extreme, generator, monkeypatch):
    module = build(generator).train()
    monkeypatch.setattr(module, "uniform", lambda *shape, like: torch.full(shape, extreme))
    r = torch.tensor([-50.0, 0.0, 50.0], requires_grad=True)
    module.gumbel_sigmoid(r).sum().backward()
    assert r.grad.isfinite().all()


def test_noise_is_of_training_only(z, generator):
    module = build(generator)
    before = generator.get_state()
    y = torch.zeros(B, dtype=torch.int64)
    assert torch.equal(module(z).z, module(z, y).z)
    assert torch.equal(generator.get_state(), before)
    module.train()
    assert not torch.equal(module.mask(z), module.mask(z))


def test_a_thresholded_mask_has_no_gradient(z, generator):
    module = build(generator, mask="binary")
    m = (torch.sigmoid(plain_net(module.sep, z)) >= 0.5).double()
    assert 0 < m.mean() < 1
    check(module, z, m)
    module(z).z.sum().backward()
    assert all(p.grad is None for p in module.sep.parameters())
    assert all(p.grad.any() for p in module.rec.parameters())


def test_without_separation_everything_is_recalibrated(z, generator):
    check(build(generator, separation="none"), z, torch.zeros_like(z))


def test_greedily_the_lower_half_is_recalibrated(z, generator):
    noisy = (z + 1 + 1e-3 * torch.rand(z.shape, generator=generator)).detach()
    m = torch.empty_like(noisy)
    for b in range(B):
        order = noisy[b].flatten().argsort()
        m[b].view(-1)[order[: C * H * W // 2]] = 0
        m[b].view(-1)[order[C * H * W // 2 :]] = 1
    check(build(generator, separation="greedy"), noisy, m)
    silent = torch.zeros_like(noisy)
    silent[:, 0, 0, 0] = 1
    check(build(generator, separation="greedy"), silent, silent)


def test_at_random_half_is_recalibrated_in_evaluations_too(generator):
    module = build(generator, separation="random")
    m = module.mask(torch.ones(100, C, 10, 10))
    assert set(m.unique().tolist()) == {0, 1}
    assert m.mean().item() == pytest.approx(0.5, abs=0.01)
    assert not torch.equal(m, module.mask(torch.ones(100, C, 10, 10)))


@pytest.mark.parametrize("separation", ["learned", "none"])
def test_parameters(separation):
    net = 9 * 64 * (2 * 512 + 64) + 2 * 2 * 64
    module = FSRModule(FSR(separation=separation), 0, 512, 10)
    nets = 2 if separation == "learned" else 1
    assert sum(p.numel() for p in module.parameters()) == nets * net + 10 * 513


def outputs(generator, modules=1):
    def draw():
        return torch.randn(B, CLASSES, generator=generator, dtype=torch.float64, requires_grad=True)

    inner = tuple(Split(draw(), draw()) for _ in range(modules))
    return Outputs(draw(), tuple(draw() for _ in range(modules)), torch.zeros(B, C), torch.zeros(B, C, 1, 1), inner)


def plain_nonrobust_loss(how, p, final, y):
    p = [math.exp(v) / sum(math.exp(u) for u in p) for v in p]
    if how == "mispredicted":
        return -math.log(p[max((c for c in range(CLASSES) if c != y), key=lambda c: final[c])])
    if how == "uniform":
        return sum(-math.log(v) / CLASSES for v in p)
    if how == "entropy-max":
        return -sum(-v * math.log(v) for v in p)
    return sum(-math.log(p[c]) for c in range(CLASSES) if c != y) / (CLASSES - 1)


@pytest.mark.parametrize("how", ["mispredicted", "uniform", "entropy-max", "average-targeted"])
@pytest.mark.parametrize("modules", [1, 2])
def test_the_modules_own_loss(how, modules, generator):
    out = outputs(generator, modules)
    y = out.logits.argmax(1).clone()
    y[1:] = torch.tensor([0, 3, 6])  # the first example is right; others need not be
    value = FSRModule.regulariser(FSR(lambda_sep=0.5, lambda_rec=3.0, separation_loss=how), out, y)
    for b in range(B):
        expected = 0
        for split, recalibrated in zip(out.inner, out.aux, strict=True):
            sep = -split.robust[b].log_softmax(0)[y[b]].item()
            sep += plain_nonrobust_loss(how, split.nonrobust[b].tolist(), out.logits[b].tolist(), y[b].item())
            rec = -recalibrated[b].log_softmax(0)[y[b]].item()
            expected += (0.5 * sep + 3 * rec) / modules
        assert value[b].item() == pytest.approx(expected)
    value.sum().backward()
    assert out.logits.grad is None  # the choice of the wrong class has no gradient


def test_terms_of_weight_zero_are_left_out(generator):
    out, y = outputs(generator), torch.zeros(B, dtype=torch.int64)
    recalibrated = F.cross_entropy(out.aux[0], y, reduction="none")
    for spec in (FSR(lambda_sep=0), FSR(separation="none")):
        assert torch.equal(FSRModule.regulariser(spec, out, y), recalibrated)
    assert FSRModule.regulariser(FSR(lambda_sep=0, lambda_rec=0), out, y) is None
    assert FSRModule.regulariser(FSR(lambda_sep=0, lambda_rec=1, separation="none"), out, y) is not None


def test_its_own_loss_is_added_to_the_objectives(generator):
    module = FSR(positions=("block4.1",))
    network = build_model(config.Model(name="resnet-10", width=4), module, config.DATASETS["digits"], seed=0).eval()
    x, y = torch.rand(4, 1, 8, 8, generator=generator), torch.arange(4)
    value, out = loss(config.AT(), module, network, x, x, y)
    torch.testing.assert_close(value, F.cross_entropy(out.logits, y, reduction="none") + FSRModule.regulariser(module, out, y))


def test_with_zero_coefficients_the_loss_is_the_objectives(generator):
    module = FSR(positions=("block4.1",), lambda_sep=0.0, lambda_rec=0.0)
    network = build_model(config.Model(name="resnet-10", width=4), module, config.DATASETS["digits"], seed=0).eval()
    x, y = torch.rand(4, 1, 8, 8, generator=generator), torch.arange(4)
    value, out = loss(config.AT(), module, network, x, x, y)
    assert torch.equal(value, F.cross_entropy(out.logits, y, reduction="none"))
    value.sum().backward()
    assert network.inserted["block4_1"].fc.weight.grad is None


@pytest.mark.parametrize("wrong", [{"tau": 0.0}, {"lambda_sep": -1.0}, {"separation_loss": "at"}, {"mask": "hard"}])
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FSR(**wrong)


def test_its_own_attack_is_on_the_final_prediction():
    attack = config.PGD(eps=0.1, step=0.01, iterations=1)
    assert config.canonical_attack(attack, FSR()) == config.canonical_attack(attack.model_copy(update={"beta_atk": "0"}), FSR())
    assert config.heads(FSR()) == ["final", "1"]
