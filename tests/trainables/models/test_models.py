import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support.parity import fill
from trainables.config import CAS, CIFS, DATASETS, FSR, Model, NoModule, TrialConfig
from trainables.config.terms.registry import OBJECTIVE
from trainables.joint import joint, training_weights
from trainables.models import build_model
from trainables.modules.inserted import Insertion

SMALL = [
    Model(name="resnet-10", width=4),
    Model(name="resnet-18", width=4),
    Model(name="resnet-50", width=4),
    Model(name="resnet-18-afd", width=4),
    Model(name="wrn-28", width=8),
    Model(name="vgg-16", width=4),
    Model(name="vgg-16-bn", width=4),
    Model(name="vgg-16-bn-all", width=4),
    Model(name="lenet", width=6),
    Model(name="lenet-afd", width=6),
]


def test_an_unknown_position_is_named():
    with pytest.raises(ValueError, match=r"'block9.1' is no position of resnet-10; allowed: block1.1"):
        build_model(SMALL[0], CAS(positions=("block9.1",)), DATASETS["digits"], seed=0)


@pytest.mark.parametrize("model", SMALL, ids=lambda m: m.name)
def test_the_seed_alone_decides_the_first_weights_and_modules_change_none_of_them(model):
    plain = build_model(model, NoModule(), DATASETS["digits"], seed=4).state_dict()
    again = build_model(model, NoModule(), DATASETS["digits"], seed=4).state_dict()
    other = build_model(model, NoModule(), DATASETS["digits"], seed=5).state_dict()
    module = CIFS().resolved(model.positions()[-2:], model.positions())
    with_module = build_model(model, module, DATASETS["digits"], seed=4).state_dict()
    assert all(torch.equal(plain[k], again[k]) and torch.equal(plain[k], with_module[k]) for k in plain)
    assert not torch.equal(plain["fc.weight"], other["fc.weight"])


@pytest.mark.parametrize("name", ["resnet-18", "vgg-16", "vgg-16-bn-all", "wrn-28", "vgg-16-bn"])
def test_weights_start_as_in_the_authors_codes(name):
    """torch: uniform of variance 1 / (3 fan-in). He: normal of variance 2 / fan-out, biases 0. FSR's VGG: N(0, .01^2)."""
    model = Model(name=name, width=32)
    network = build_model(model, FSR(positions=(model.positions()[-1],)), DATASETS["cifar10"], seed=0)
    conv = network.convs[-1] if name.startswith("vgg") else network.blocks[-1].conv2
    fan = 9 * conv.in_channels
    assert conv.in_channels == conv.out_channels
    by_torch = name in {"resnet-18", "vgg-16", "vgg-16-bn-all"}
    sep = [layer for layer in network.inserted.modules() if isinstance(layer, nn.Conv2d)][-1]  # from 64 channels
    assert conv.weight.var().item() == pytest.approx(1 / (3 * fan) if by_torch else 2 / fan, rel=0.03)
    assert conv.weight.mean().item() == pytest.approx(0, abs=1e-3)
    expected = 1 / (3 * 9 * 64) if by_torch else 2 / (9 * sep.out_channels)
    assert sep.weight.var().item() == pytest.approx(expected, rel=0.03)
    assert bool(network.fc.bias.any()) == by_torch
    spread = 0.01**2 if name == "vgg-16-bn" else 1 / (3 * network.fc.in_features)
    assert network.fc.weight.var().item() == pytest.approx(spread, rel=0.1)


class Halve(nn.Module):
    """Halves its features and predicts their mean."""

    starts_as_network = False

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, z, y=None):
        self.seen.append((z, y))
        return Insertion(z / 2, z.mean((2, 3)))


def plain_resnet(network, x, at):
    """The forward pass, written out block by block, with features halved after block ``at``."""
    z = F.relu(network.bn1(network.conv1(x)))
    for i, block in enumerate(network.blocks):
        f = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(z)))))
        f = block.bn3(block.conv3(F.relu(f))) if hasattr(block, "conv3") else f
        z = F.relu(f + block.shortcut(z))
        z = z / 2 if i == at else z
    return network.fc(z.mean((2, 3)))


def plain_wide_resnet(network, x, at):
    """The same, in the usual form: each block activates its own input, and block ``at``'s output once it is activated."""
    norms = [network.bn1, *network.bns]
    z = network.conv1(x)
    for i, block in enumerate(network.blocks):
        a = F.relu(norms[i](z))
        a = a / 2 if i - 1 == at else a
        shortcut = z if block.shortcut is None else block.shortcut(a)
        z = block.conv2(F.relu(block.bn(block.conv1(a)))) + shortcut
    z = F.relu(norms[-1](z))
    return network.fc((z / 2 if at == len(network.blocks) - 1 else z).mean((2, 3)))


def plain_vgg(network, x, at):
    """Configuration D layer by layer; images of 8 pixels are down to one before the last two pools."""
    layers = ["c", "c", "pool", "c", "c", "pool", "c", "c", "c", "pool", "c", "c", "c", "c", "c", "c"]
    i = 0
    for layer in layers:
        if layer == "pool":
            x = F.max_pool2d(x, 2)
        else:
            x = F.relu(network.bns[i](network.convs[i](x)))
            x = x / 2 if i == at else x
            i += 1
    assert x.shape[2:] == (1, 1)
    first, bn1, _, second, bn2, _ = network.hidden
    return network.fc(F.relu(bn2(second(F.relu(bn1(first(x.flatten(1))))))))


def test_unit_features_are_of_length_one(generator):
    """And the linear layer sees them: F.normalize at the end of the encoder in AFD's public code."""
    plain = build_model(SMALL[0], NoModule(), DATASETS["digits"], seed=0).double().eval()
    unit = SMALL[0].model_copy(update={"unit_features": True})
    ours = build_model(unit, NoModule(), DATASETS["digits"], seed=0).double().eval()
    x = torch.rand(5, 1, 8, 8, generator=generator, dtype=torch.float64)
    f = plain(x).features
    expected = f / f.square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(ours(x).features, expected)
    torch.testing.assert_close(ours(x).logits, expected @ plain.fc.weight.T + plain.fc.bias)


@pytest.mark.parametrize(
    ("name", "width", "parameters", "length", "first"),
    [
        ("resnet-18-afd", 16, 263_546, None, ()),
        ("lenet-afd", 32, 220_234, 29.46691397715674, (-2.732353166204887, -1.215191841572994, -1.0491088757895601)),
    ],
)
def test_afds_networks_for_mnist_are_its_authors(name, width, parameters, length, first):
    """``utils.get_model`` of BashivanLab/afd, commit 7631421; outputs of weights of seed 1. The ResNet's: test_afd_parity."""
    network = build_model(Model(name=name, width=width), NoModule(), DATASETS["mnist"], seed=0).double().eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    if length:
        fill(network.parameters(), 1)
        x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        logits = network(x).logits.detach()
        assert logits.norm().item() == pytest.approx(length)
        assert logits[0, :3].tolist() == pytest.approx(first)


def plain_lenet(network, x, at):
    a = F.relu(network.conv1(x)) / (2 if at == 0 else 1)
    b = F.relu(network.conv2(F.max_pool2d(a, 2))) / (2 if at == 1 else 1)
    z = F.max_pool2d(b, 2).flatten(1)
    for layer in network.hidden:
        z = F.relu(layer(z))
    return network.fc(z)


PLAIN = {"resnet": plain_resnet, "wrn": plain_wide_resnet, "vgg": plain_vgg, "lenet": plain_lenet}


@pytest.mark.parametrize("model", SMALL, ids=lambda m: m.name)
def test_a_module_sits_where_its_position_says(model, generator):
    plain = PLAIN[model.name.split("-")[0]]
    network = build_model(model, NoModule(), DATASETS["digits"], seed=0).double().eval()
    x = torch.rand(2, 1, 8, 8, generator=generator, dtype=torch.float64)
    y = torch.tensor([3, 4])
    torch.testing.assert_close(network(x).logits, plain(network, x, None))
    for i, position in enumerate(model.positions()):
        seen: list[Any] = []
        ours = copy.deepcopy(network)
        ours.insert(position, Halve(seen))
        out = ours(x, y)
        torch.testing.assert_close(out.logits, plain(network, x, i))
        ((z, labels),) = seen
        assert z.shape[1] == network.channels[position]
        assert z.min() >= 0  # activated
        assert labels is y
        assert torch.equal(out.aux[0], z.mean((2, 3)))


def train(config, steps, generator):
    network = build_model(config.model, config.module, config.data.info, config.seed).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for _ in range(steps):
        x, y = torch.rand(8, 1, 8, 8, generator=generator), torch.randint(10, (8,), generator=generator)
        optimiser.zero_grad()
        OBJECTIVE.load(config.objective.name)(
            config.objective, network, x, x, y, training_weights(config.module)
        ).value.mean().backward()
        optimiser.step()
    return network.state_dict()


@pytest.mark.parametrize("model", [SMALL[0], SMALL[3], SMALL[5]], ids=lambda m: m.name)
def test_cas_without_coefficient_and_mask_is_adversarial_training_bit_for_bit(model):
    data = {"dataset": "digits"}
    module = CAS(positions=("P2", "P1"), beta=0.0, suppression=False)
    at, cas = (TrialConfig(data=data, model=model, module=m) for m in (NoModule(), module))
    one = train(at, 3, torch.Generator().manual_seed(0))
    other = train(cas, 3, torch.Generator().manual_seed(0))
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert len(other) == len(one) + 4


def test_training_with_modules_uses_the_labels(generator):
    module = CAS(positions=("block4.1",))
    network = build_model(SMALL[0], module, DATASETS["digits"], seed=0).eval()
    x = torch.rand(4, 1, 8, 8, generator=generator)
    predicted = network(x).aux[0].argmax(1)
    assert torch.equal(network(x, predicted).logits, network(x).logits)
    assert not torch.equal(network(x, (predicted + 1) % 10).logits, network(x).logits)
    assert joint(training_weights(module), lambda z: z.sum(1), network(x)).shape == (4,)


@pytest.mark.parametrize(("size", "last"), [(8, 1), (28, 1), (32, 2), (64, 4)])
def test_vgg_pools_at_the_end_of_each_stage_down_to_one_pixel(size, last, generator):
    info = DATASETS["digits"]._replace(size=size)
    network = build_model(Model(name="vgg-16-bn", width=4), NoModule(), info, seed=0).eval()
    with network.watching("block5.3"):
        outputs = network(torch.rand(1, 1, size, size, generator=generator))
    assert outputs.watched.shape == (1, 32, last, last)
    assert outputs.maps.shape == (1, 32, 1, 1)


def test_lenet_of_width_6_has_lenet_5s_layers():
    network = build_model(Model(name="lenet", width=6), NoModule(), DATASETS["mnist"], seed=0)
    shapes = [tuple(p.shape) for n, p in network.named_parameters() if n.endswith("weight")]
    assert shapes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 16 * 7 * 7), (84, 120), (10, 84)]


@pytest.mark.parametrize(
    ("name", "position", "places"),
    [
        ("resnet-50", "block1", ["block1.1", "block1.2", "block1.3"]),
        ("resnet-50", "P2", ["block4.2"]),
        ("vgg-16", "block5", ["block5.1", "block5.2", "block5.3"]),
        ("vgg-16-bn", "block4.3", ["block4.3"]),
        ("vgg-16-bn", "block4.last", ["block4.3"]),
        ("resnet-18", "block1.last", ["block1.2"]),
        ("resnet-10", "block1.last", ["block1.1"]),
        ("vgg-16", "P4", ["block4.3"]),
        ("lenet", "P1", ["block2.1"]),
        ("lenet", "P2", ["block1.1"]),
        ("lenet", "all", ["block1.1", "block2.1"]),
        ("resnet-10", "all", ["block1.1", "block2.1", "block3.1", "block4.1"]),
    ],
)
def test_the_papers_names_of_positions(name, position, places):
    assert Model(name=name).resolve(position) == places


@pytest.mark.parametrize("position", ["P3", "P0", "block3", "block3.last", "last", "block1.2", "block", "All", ""])
def test_no_such_position(position):
    with pytest.raises(ValueError, match=r"none of lenet; allowed: block1, block2, block1.1, block2.1, P1, P2, all"):
        Model(name="lenet").resolve(position)
