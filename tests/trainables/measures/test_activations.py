import numpy as np
import pytest
import torch

from tests.support.measured_network import DIGITS, RESNET, images, outputs, subject
from trainables import config
from trainables.measures import run_measure
from trainables.measures.activations import channel_activations
from trainables.models import build_model

FGSM = config.FGSM(eps=0.1, beta_atk="0")


def test_means_and_shares_counted_one_by_one():
    generator = np.random.default_rng(0)
    a = np.maximum(generator.normal(size=(30, 7)), 0) * 10.0 ** generator.integers(-4, 3, size=(30, 7))
    a[3] = 0  # an example in which nothing is active
    for threshold in (0.0, 0.005, 0.01, 0.05, 0.9):
        found = channel_activations(a, threshold)
        for c in range(7):
            total, active = 0.0, 0
            for example in a:
                total += example[c]
                active += int(example[c] > threshold * max(example))
            assert found.magnitude[c] == pytest.approx(total / 30)
            assert found.frequency[c] == active / 30


def test_every_channel_that_is_not_zero_is_active_at_a_threshold_of_zero():
    a = np.array([[0.0, 1e-30, 5.0], [0.0, 0.0, 0.0]])
    assert channel_activations(a, 0.0).frequency.tolist() == [0, 0.5, 0.5]


def test_the_example_itself_sets_the_threshold():
    a = np.array([[1.0, 0.02], [100.0, 0.02]])  # 2 % of its own largest one; less than 1 % of it
    assert channel_activations(a, 0.01).frequency.tolist() == [1, 0.5]


def hooked(ours, index, x=None):
    """The output of a residual block by torch's own hook: before any inserted module."""
    seen = []
    handle = ours.network.blocks[index].register_forward_hook(lambda module, args, output: seen.append(output))
    outputs(ours, x)
    handle.remove()
    return seen[0].double()


@pytest.mark.parametrize("module", [None, config.CAS(positions=("P2", "P1")), config.CIFS(), config.FSR(positions=("P1",))])
@pytest.mark.parametrize(("position", "index"), [("block4.1", 3), ("block3.1", 2), ("block1.1", 0)])
def test_the_features_are_those_before_the_module(module, position, index):
    ours = subject(module)
    found = run_measure(config.Activations(position=position, threshold=0.3), ours)
    expected = channel_activations(hooked(ours, index).mean((2, 3)).numpy(), 0.3)
    np.testing.assert_allclose(found["magnitude"], expected.magnitude, rtol=1e-5)
    np.testing.assert_array_equal(found["frequency"], expected.frequency)
    assert found["examples"] == 40


def test_or_after_it():
    """CAS's mask: the auxiliary classifier's weights of the class that it predicts."""
    ours = subject(config.CAS(positions=("P1",)))
    z = hooked(ours, -1).mean((2, 3))
    fc = ours.network.inserted["block4_1"].fc
    mask = fc.weight[(z @ fc.weight.double().T + fc.bias.double()).argmax(1)].detach().double()
    found = run_measure(config.Activations(position="block4.1", masked=True), ours)
    np.testing.assert_allclose(found["magnitude"], (z * mask).abs().mean(0).numpy(), rtol=1e-5)
    assert not np.allclose(found["magnitude"], run_measure(config.Activations(position="block4.1"), ours)["magnitude"])


@pytest.mark.parametrize("name", ["resnet-50", "wrn-28", "vgg-16-bn", "lenet"])
def test_every_network_shows_its_positions(name):
    model = config.Model(name=name, width=3)
    network = build_model(model, config.NoModule(), DIGITS, seed=0).eval()
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert network(x).watched is None
        for position in model.positions():
            with network.watching(position):
                found = network(x)
            assert found.watched.shape[:2] == (2, network.channels[position])
            assert found.watched.min() >= 0  # after the last ReLU
        if name in {"resnet-50", "wrn-28"}:
            assert torch.equal(found.watched, found.maps)
        assert network(x).watched is None


def test_watching_an_unknown_position_is_refused():
    network = build_model(RESNET, config.NoModule(), DIGITS, seed=0)
    with (
        pytest.raises(ValueError, match=r"'P1' is no position of this network; allowed: block1\.1, .*block4\.1"),
        network.watching("P1"),
    ):
        pass


def test_one_class_and_the_final_layers_weights_for_it():
    ours = subject()
    found = run_measure(config.Activations(position="block4.1", label=7), ours)
    members = ours.examples.labels == 7
    assert found["examples"] == int(members.sum()) == 4
    np.testing.assert_allclose(found["magnitude"], outputs(ours).features[members].mean(0).numpy(), rtol=1e-5)
    np.testing.assert_array_equal(found["weights"], ours.network.fc.weight[7].detach().numpy())
    every = run_measure(config.Activations(position="block4.1"), ours)["weights"]
    np.testing.assert_array_equal(every, ours.network.fc.weight.detach().numpy())


def test_a_class_without_examples_is_named():
    ours = subject(n=5)
    missing = next(c for c in range(10) if c not in ours.examples.labels)
    with pytest.raises(ValueError, match=f"label = {missing}: there is no test example"):
        run_measure(config.Activations(position="block4.1", label=missing), ours)


def test_attacked_images():
    ours = subject()
    x = images(ours.examples).requires_grad_()
    logits = ours.network(x).logits
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, ours.examples.labels), x)
    x_adv = (x.detach() + 0.1 * gradient.sign()).clamp(0, 1)
    expected = channel_activations(hooked(ours, -1, x_adv).mean((2, 3)).numpy(), 0.01)
    found = run_measure(config.Activations(attack=FGSM, position="block4.1"), ours)
    np.testing.assert_allclose(found["magnitude"], expected.magnitude, rtol=1e-4)
