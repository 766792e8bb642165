"""Modules at every activation: forward passes written out plainly, and the authors' network on the same weights."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from orchestrator.cost.network_size import multiply_adds
from trainables import config
from trainables.models import _at_activations as at_activations
from trainables.models import build_model
from trainables.models.activation import Activation
from trainables.modules.sap import SAPModule

#: ReLUs, and those of the last position and on the way there from the one before.
ACTIVATIONS = {
    "resnet-10": (9, 2),
    "resnet-18": (17, 2),
    "resnet-50": (49, 3),
    "wrn-28": (25, 2),
    "wrn-34": (31, 2),
    "vgg-16-bn": (15, 3),
    "lenet": (4, 3),
}


def build(module, name="resnet-10", width=4):
    trial = config.TrialConfig(model=config.Model(name=name, width=width), module=module)
    network = build_model(trial.model, trial.module, trial.data.info, seed=0).eval()
    network.draw_from(torch.Generator().manual_seed(1))
    return trial, network


def inserted(network):
    return [a for a in network.modules() if isinstance(a, Activation) and a.inserted is not None]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_of_a_network_has_one(name):
    every, last = ACTIVATIONS[name]
    for positions, n in ((("all",), every), (("P1",), last)):
        trial, network = build(config.SAP(positions=positions), name)
        assert len(inserted(network)) == n
        assert not network.inserted
        plain = multiply_adds(trial.model, config.NoModule(), trial.data.info)
        assert multiply_adds(trial.model, trial.module, trial.data.info) == plain


@pytest.mark.parametrize("kind", [config.KWTA, config.SAP])
def test_at_ends_of_blocks_alone(kind):
    trial, network = build(kind(sites="blocks"))
    assert not inserted(network)
    assert len(network.inserted) == len(trial.module.positions) == 4


def forward(network, x, activate):
    """A ResNet of one block a stage, by its weights alone; ``activate`` stands where the ReLUs do."""
    w = network.state_dict()

    def bn(z, name):
        mean, var, a, b = (w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(z, mean, var, a, b)

    z = activate(bn(F.conv2d(x, w["conv1.weight"], padding=1), "bn1"))
    for i in range(4):
        block, stride = f"blocks.{i}", 2 if i else 1
        inner = activate(bn(F.conv2d(z, w[f"{block}.conv1.weight"], None, stride, 1), f"{block}.bn1"))
        inner = bn(F.conv2d(inner, w[f"{block}.conv2.weight"], padding=1), f"{block}.bn2")
        if i:
            z = bn(F.conv2d(z, w[f"{block}.shortcut.0.weight"], None, stride), f"{block}.shortcut.1")
        z = activate(inner + z)
    return F.linear(z.mean((2, 3)), w["fc.weight"], w["fc.bias"])


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.9])
def test_kwta_in_place_of_every_relu(ratio, generator):
    _, network = build(config.KWTA(ratio=ratio))
    network.double()
    x = torch.rand(3, 3, 12, 12, generator=generator, dtype=torch.float64)

    def winners(z):
        flat = z.flatten(1)
        least = flat.sort(1, descending=True).values[:, int(ratio * flat.shape[1]) - 1]
        return z * (z >= least[:, None, None, None])

    torch.testing.assert_close(network(x).logits, forward(network, x, winners))


def test_sap_behind_every_relu(generator):
    trial, network = build(config.SAP(ratio=0.3))
    network.double()
    x = torch.rand(3, 3, 12, 12, generator=generator, dtype=torch.float64)
    alone = SAPModule(trial.module, 0, 1, 10)
    alone.generator = torch.Generator().manual_seed(1)
    torch.testing.assert_close(network(x).logits, forward(network, x, lambda z: alone(F.relu(z)).z))


def test_the_authors_network():
    """kWTA's public ResNet, whose stem has a ReLU, in the form of its notebook: sparse_func "vol", sparsities 0.2.

    a554b554/kWTA-Activation, b284f65, kWTA/resnet.py: SparseResNet(SparseBasicBlock, [1, 1, 1, 1], [0.2] * 4, use_relu=False,
    sparse_func="vol"), in float64, on the weights and the image below.
    """
    _, network = build(config.KWTA(ratio=0.2), width=64)
    network.double().relu1.inserted = None
    draw = torch.Generator().manual_seed(7)
    for name, tensor in sorted(network.state_dict().items()):
        if tensor.dtype == torch.float64:
            noise = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
            scale = 0.03 if tensor.dim() > 1 else 0.1
            tensor.copy_(scale * noise if tensor.dim() > 1 or "bias" in name or "mean" in name else 1 + scale * noise.abs())
    x = torch.rand(1, 3, 32, 32, generator=draw, dtype=torch.float64)
    expected = torch.tensor([AUTHORS], dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(x).logits, expected, rtol=0, atol=1e-6)


#: Its logits.
AUTHORS = (-0.303115, -0.1386273, 0.3446269, -0.0461271, 0.1538985, -0.0091896, -0.0263996, 0.054674, 0.2454095, 0.0202049)


def test_a_model_that_exposes_no_activations_refuses():
    trial, network = build(config.KWTA())
    for activation in inserted(network):
        activation.position = "elsewhere"
    with pytest.raises(ValueError, match=r"module\.sites = 'activations': ResNet has none there; allowed: 'blocks'"):
        at_activations(network, trial.module, 10)


def test_sites_are_named():
    with pytest.raises(ValidationError, match="sites"):
        config.KWTA(sites="some")
