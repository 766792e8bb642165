"""CASModule against the equations of its paper, written out for each example."""

import pytest
import torch

from trainables.config import CAS
from trainables.modules.cas import CASModule

B, C, H, W, CLASSES = 5, 6, 3, 4, 7


@pytest.fixture
def case(generator):
    module = CASModule(CAS(positions=("block4.1",)), 0, C, CLASSES).double()
    for p in module.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=p.dtype)
    z = torch.randn(B, C, H, W, generator=generator, dtype=torch.float64, requires_grad=True)
    return module, z, torch.randint(CLASSES, (B,), generator=generator)


@pytest.fixture(autouse=True)
def _layers_may_draw():
    with torch.random.fork_rng(devices=()):
        yield


def plain(module, z, y):
    masked, predictions = torch.empty_like(z), []
    for b in range(B):
        f = torch.stack([z[b, k].sum() / (H * W) for k in range(C)])  # eq. 2
        p = module.fc.weight @ f + module.fc.bias
        c = int(p.argmax()) if y is None else int(y[b])
        for k in range(C):
            masked[b, k] = z[b, k] * module.fc.weight[c, k]  # eq. 3
        predictions.append(p)
    return masked, torch.stack(predictions)


@pytest.mark.parametrize("labelled", [True, False])
def test_forward_and_gradients(case, labelled, generator):
    module, z, y = case
    y = y if labelled else None
    weights = torch.randn(B, C, H, W, generator=generator), torch.randn(B, CLASSES, generator=generator)
    inputs = [z, *module.parameters()]
    ours, theirs = module(z, y)[:2], plain(module, z, y)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    grads = [
        torch.autograd.grad(sum((w * o).sum() for w, o in zip(weights, out, strict=True)), inputs) for out in (ours, theirs)
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_without_suppression_features_pass(case):
    module, z, y = case
    module.suppression = False
    masked, logits, _ = module(z, y)
    assert masked is z
    torch.testing.assert_close(logits, plain(module, z, y)[1])
