"""CIFSModule against the equations of its paper, with automatic differentiation in place of the closed forms."""

import math

import pytest
import torch

from trainables.config import CIFS, Sigmoid, Softmax, Softplus
from trainables.modules.cifs import CIFSModule

B, C, H, W, CLASSES = 5, 6, 3, 4, 7
IMGFS = [Sigmoid(), Sigmoid(alpha=0.5), Softplus(), Softplus(alpha=0.5), Softmax(), Softmax(T=0.1)]


@pytest.fixture(autouse=True)
def _layers_may_draw():
    with torch.random.fork_rng(devices=()):
        yield


def build(generator, depth, k, imgf):
    spec = CIFS(positions=("block4.1", "block4.2"), depth=(0, depth), hidden=9, top_k=k, imgf=imgf)
    module = CIFSModule(spec, 1, C, CLASSES).double()
    for p in module.parameters():
        p.data = 0.5 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return module


def probe(module, z):
    """A(z) on one image's features (C, H, W)."""
    h = z.mean((1, 2))
    for layer in module.probe.inner:
        h = torch.log(1 + torch.exp(5 * (layer.weight @ h + layer.bias))) / 5
    return module.probe.last.weight @ h + module.probe.last.bias


def imgf(spec, g):
    if isinstance(spec, Sigmoid):
        return 1 / (1 + torch.exp(-spec.alpha * g))
    if isinstance(spec, Softplus):
        return torch.log(1 + torch.exp(spec.alpha * g)) / spec.alpha
    e = torch.exp(g / spec.T)
    return e / e.sum()


def plain(module, spec, z, y, k):
    masked, predictions = [], []
    for b in range(B):
        p = probe(module, z[b])
        ranked = sorted(range(CLASSES), key=lambda c: -p[c].item())
        top = ranked[:k] if y is None else [int(y[b]), *[c for c in ranked if c != y[b]][: k - 1]]
        delta = torch.zeros(C, dtype=z.dtype, requires_grad=True)
        perturbed = probe(module, z[b].detach() + delta[:, None, None])
        (g,) = torch.autograd.grad(sum(perturbed[c] for c in top), delta, create_graph=True)  # eq. 1
        masked.append(z[b] * imgf(spec, g)[:, None, None])  # eq. 2
        predictions.append(p)
    return torch.stack(masked), torch.stack(predictions)


@pytest.mark.parametrize("depth", range(4))
def test_the_closed_form_of_the_relevance_is_the_gradient(depth, generator):
    """Of every depth, in float64, by automatic differentiation of the probe itself; softly weighted classes too.

    Torch's softplus is the identity above 20, where the slope's closed form is 1 - 2e-9.
    """
    module = build(generator, depth, 2, Softmax())
    f = torch.randn(B, C, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(B, CLASSES, generator=generator, dtype=torch.float64)
    top = torch.randint(CLASSES, (B, 3), generator=generator)
    logits = module.probe(f)
    for chosen, value in ((weights, weights * logits), (top, logits.gather(1, top))):
        (gradient,) = torch.autograd.grad(value.sum(), f, retain_graph=True)
        torch.testing.assert_close(module.probe.relevance(f, chosen), gradient.expand(B, C), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3, CLASSES])
@pytest.mark.parametrize("spec", IMGFS, ids=str)
@pytest.mark.parametrize("depth", range(4))
def test_forward_and_gradients(depth, spec, k, labelled, generator):
    module = build(generator, depth, k, spec)
    assert len(module.probe.inner) == depth
    z = torch.randn(B, C, H, W, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.randint(CLASSES, (B,), generator=generator) if labelled else None
    weights = torch.randn(B, C, H, W, generator=generator), torch.randn(B, CLASSES, generator=generator)
    ours, theirs = module(z, y)[:2], plain(module, spec, z, y, k)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    inputs = [z, *module.parameters()]
    grads = [
        torch.autograd.grad(sum((w * o).sum() for w, o in zip(weights, out, strict=True)), inputs) for out in (ours, theirs)
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("depth", range(4))
def test_no_gradient_goes_from_the_mask_into_the_features(depth, generator):
    """With z held where it is multiplied, what is left of the gradient would be the mask's."""
    module = build(generator, depth, 2, Softplus())
    z = torch.randn(B, C, H, W, generator=generator, dtype=torch.float64, requires_grad=True)
    masked = module(z).z
    (gradient,) = torch.autograd.grad(masked.sum(), z)
    torch.testing.assert_close(gradient, (masked / z).detach())


def test_the_label_counts_once():
    """Where y is the second best, the set is {y, the best}; a probe that ranks 2, 0, 1 shows it."""
    spec = CIFS(positions=("block4.1",), depth=(0,), top_k=2)
    module = CIFSModule(spec, 0, 2, 3)
    logits = torch.tensor([[2.0, 1.0, 3.0]])
    tops = [sorted(module.top(logits, y)[0].tolist()) for y in (None, torch.tensor([2]), torch.tensor([0]), torch.tensor([1]))]
    assert tops == [[0, 2], [0, 2], [0, 2], [1, 2]]


@pytest.mark.parametrize("spec", IMGFS, ids=str)
def test_masks_are_importances(spec, generator):
    """Never negative, in the order of the relevances, and close to zero for negative ones (section 3.2)."""
    g = torch.tensor([[-30.0, -1.0, 0.0, 1.0, 30.0]])
    (m,) = build(generator, 0, 2, spec).mask(g)
    assert (m >= 0).all()
    assert (m.diff() >= 0).all()
    assert m[0] < 1e-6
    assert math.isfinite(m.sum())
