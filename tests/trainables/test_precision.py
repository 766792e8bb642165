"""Effects of precision, memory layout and compilation on a training."""

import itertools

import numpy as np
import pytest
import torch

from trainables import config
from trainables.checkpoint import pack_state, unpack_state
from trainables.models import build_model
from trainables.models.layout import UnsafeLayout, check_layout
from trainables.outputs import heads
from trainables.trial import Trial

NONE = config.NoModule()
MODULES = [
    NONE,
    config.CAS(),
    config.CIFS(),
    config.FSR(),
    config.KWTA(positions=("block4",)),
    config.SAP(positions=("block4",)),
]


def trial(module=NONE, model="resnet-10", precision="fp32", width=8, **runtime):
    spec = config.TrialConfig(
        data=config.Data(dataset="digits", validation=0.1, crop=1, flip=False, examples=128),
        model=config.Model(name=model, width=width),
        module=module,
        attack=config.TrainingPGD(eps=0.125, step=0.0625, iterations=2),
        training=config.Training(epochs=3, batch_size=50, lr=0.05, precision=precision),
    )
    return Trial(spec, config.Runtime(device="cpu", threads=1, **runtime))


def network(module, precision="bf16"):
    made = build_model(config.Model(name="resnet-10", width=8), canonical(module), config.DATASETS["digits"], seed=0)
    made.draw_from(torch.Generator())
    made.precision = precision
    return made


def canonical(module):
    return config.TrialConfig(model=config.Model(name="resnet-10", width=8), module=module).module


def images():
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_outputs_of_a_bf16_network_have_the_precision_of_its_weights(module):
    outputs = network(module)(images(), torch.arange(6))
    inner = [tensor for each in outputs.inner for tensor in each]
    for tensor in (*heads(outputs), outputs.features, outputs.maps, *inner):
        assert tensor.dtype == torch.float32


@pytest.mark.parametrize("module", MODULES[1:4], ids=lambda m: m.name)
def test_inserted_modules_never_see_less_than_the_weights_precision(module):
    made = network(module)
    seen = []
    for inserted in made.inserted.values():
        for layer in inserted.modules():
            layer.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].dtype))
    made(images(), torch.arange(6))
    assert set(seen) == {torch.float32}


def test_a_bf16_backbone_computes_in_bf16_and_learns_in_fp32():
    made = network(NONE)
    seen = []
    for layer in made.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
    made(images()).logits.sum().backward()
    assert set(seen) == {torch.bfloat16}
    assert {p.grad.dtype for p in made.parameters()} == {torch.float32}


def test_bf16_is_near_fp32_and_not_it():
    exact, near = (network(config.CAS(), precision)(images()).logits for precision in ("fp32", "bf16"))
    assert not torch.equal(exact, near)
    # 8 bits, over ten layers: 2^-8 each.
    assert (exact - near).norm() < 10 * 2**-8 * exact.norm()


def test_precision_is_a_part_of_the_identity():
    one, other = (config.TrialConfig(training=config.Training(precision=precision)) for precision in ("fp32", "bf16"))
    assert config.trial_key(one) != config.trial_key(other)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_a_bf16_training_is_resumed_bit_for_bit(module):
    undisturbed, stopped = trial(module, precision="bf16"), trial(module, precision="bf16")
    undisturbed.step()
    expected = undisturbed.step()
    stopped.step()
    state = pack_state(stopped.state_dict())
    resumed = trial(module, precision="bf16")
    resumed.load_state_dict(unpack_state(state))
    row = resumed.step()
    assert row["train_loss"] == expected["train_loss"]
    assert same(resumed.weights(), undisturbed.weights())


def test_selection_is_evaluated_in_fp32():
    trained = trial(precision="bf16")
    row = trained.step()
    weights = {name: tensor.clone() for name, tensor in trained.weights().items()}
    # The same weights in a network without bf16.
    plain = trial()
    plain._network.load_state_dict(weights)
    plain.epoch = 1
    assert plain._select() == (row["natural_accuracy"], row["robust_accuracy"])
    attack = config.PGD(eps=0.125, step=0.03, iterations=3)
    assert np.array_equal(trained.evaluate(attack, weights).ranks["final"], plain.evaluate(attack, weights).ranks["final"])


def test_the_layout_follows_the_precision_unless_it_is_set():
    for precision, layout in itertools.product(("fp32", "bf16"), ("auto", "contiguous", "channels-last")):
        made = trial(precision=precision, layout=layout)._network
        last = layout == "channels-last" or (layout, precision) == ("auto", "bf16")
        assert made.blocks[0].conv1.weight.is_contiguous(memory_format=torch.channels_last) == last


def test_a_layout_that_pytorch_cannot_train_on_a_cpu_is_refused():
    wanted = r"layout = .channels-last.: resnet-10 with model.width = 7 .* of 7 channels, .*fp32; allowed: auto, contiguous"
    with pytest.raises(UnsafeLayout, match=wanted):
        trial(width=7, layout="channels-last")
    for safe in ({"layout": "contiguous"}, {}, {"layout": "channels-last", "precision": "bf16"}):
        trial(width=7, **safe)
    trial(model="vgg-16", width=4, layout="channels-last")  # without a strided 1x1 convolution


def test_a_layout_is_not_refused_on_a_gpu():
    made = trial(width=4, layout="contiguous")
    check_layout(made._network, made.spec, config.Runtime(layout="channels-last"), "cuda")
    with pytest.raises(UnsafeLayout):
        check_layout(made._network, made.spec, config.Runtime(layout="channels-last"), "cpu")


def test_layout_changes_nothing_but_the_last_bits():
    rows = [trial(layout=layout).step() for layout in ("contiguous", "channels-last")]
    assert rows[0]["train_loss"] == pytest.approx(rows[1]["train_loss"], rel=1e-3)


def test_weights_of_any_layout_are_saved_alike():
    trained = trial(layout="channels-last")
    trained.step()
    other = trial(layout="contiguous")
    other.load_state_dict(unpack_state(pack_state(trained.state_dict())))
    assert same(trained.weights(), other.weights())
    assert other._network.blocks[0].conv1.weight.is_contiguous()


@pytest.mark.slow
@pytest.mark.parametrize("compiled", ["kernels", "graphs"])
def test_a_compiled_network_trains_alike(compiled):
    torch._dynamo.utils.counters.clear()
    module = config.CAS(positions=("P1",))
    eager, other = trial(module, model="lenet"), trial(module, model="lenet", compile=compiled)
    one, two = eager.step(), other.step()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert one["train_loss"] == pytest.approx(two["train_loss"], rel=1e-4)
    assert eager.weights().keys() == other.weights().keys()
