import pytest
import torch

from tests.support.small_network import examples, small
from trainables.attacks.building_blocks.gradient import clean_outputs, frozen, slope
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.pgd import pgd
from trainables.attacks.training.infofeature import DISTANCES, cam, infofeature
from trainables.attacks.training.run import training_attack
from trainables.config import CAS, InfoFeature, TrainingPGD

CE = joint_objective((1.0, 0.0), cross_entropy)
CAS1 = CAS(positions=("block1.1",))


def plain_cam(A, w):
    """Compute eq. 6 channel by channel and pixel by pixel; A (C, H, W), w (C,)."""
    C, H, W = A.shape
    return [[sum(max((w[k] * A[k, i, j]).item(), 0) for k in range(C)) for j in range(W)] for i in range(H)]


@pytest.mark.parametrize("signed", [True, False])
def test_the_map_is_equation_6(signed, generator):
    maps = torch.randn(2, 3, 2, 4, generator=generator, dtype=torch.float64)
    maps = maps if signed else maps.relu()
    weight, y = torch.randn(5, 3, generator=generator, dtype=torch.float64), torch.tensor([4, 1])
    found = cam(maps, weight, y)
    for i in range(2):
        assert torch.allclose(found[i], torch.tensor(plain_cam(maps[i], weight[y[i]]), dtype=torch.float64))
    if not signed:  # after a ReLU the product is negative where the weight is
        torch.testing.assert_close(found, torch.einsum("bchw,bc->bhw", maps, weight[y].relu()))


@pytest.mark.parametrize(
    ("distance", "plain"),
    [
        ("l2", lambda a, b: (a - b).square().sum().sqrt()),
        ("l1", lambda a, b: (a - b).abs().sum()),
        ("cosine", lambda a, b: 1 - (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()),
    ],
)
def test_the_objective_is_equation_7(distance, plain):
    model = small()
    x, y = examples(8)
    x_adv = (x + 0.05).clamp(0, 1)
    clean, outputs = clean_outputs(model, x), clean_outputs(model, x_adv)
    objective = infofeature(CE, clean, model.fc.weight, y, lam=0.3, distance=distance)
    for i, value in enumerate(objective(outputs, y)):
        before, after = (
            torch.tensor(plain_cam(o.maps[i], model.fc.weight[y[i]]), dtype=torch.float64) for o in (clean, outputs)
        )
        expected = -outputs.logits[i].log_softmax(0)[y[i]] + 0.3 * plain(before, after)
        torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("distance", DISTANCES)
def test_at_the_image_itself_no_distance_has_a_gradient(distance):
    model = small()
    x, y = examples(8)
    objective = infofeature(CE, clean_outputs(model, x), model.fc.weight, y, lam=10.0, distance=distance)
    with frozen(model):
        torch.testing.assert_close(slope(model, x, y, objective).gradient, slope(model, x, y, CE).gradient)
        nearby = slope(model, x + 0.01, y, objective).gradient - slope(model, x + 0.01, y, CE).gradient
    assert nearby.abs().max() > 1e-6


@pytest.mark.parametrize("bn", ["eval", "train"])
def test_without_the_distance_it_is_pgd_bit_for_bit(bn):
    x, y = examples(16)
    common = {"eps": 0.1, "step": 0.02, "iterations": 7, "bn": bn}
    ends = [
        training_attack(spec, CAS1, small(), x, y, torch.Generator().manual_seed(0), 1).images
        for spec in (InfoFeature(**common, lam=0.0), TrainingPGD(**common), InfoFeature(**common, lam=5.0))
    ]
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


@pytest.mark.parametrize("distance", DISTANCES)
def test_it_rises_along_the_steps_and_moves_the_map_more_than_pgd(distance):
    model = small()
    x, y = examples(32)
    clean = clean_outputs(model, x)
    objective = infofeature(CE, clean, model.fc.weight, y, lam=3.0, distance=distance)

    def end(objective, iterations):
        settings = {"eps": 0.1, "step": 0.01, "iterations": iterations, "generator": torch.Generator().manual_seed(0)}
        return clean_outputs(model, pgd(model, x, y, objective=objective, **settings))

    values = [objective(end(objective, n), y).mean().item() for n in range(0, 11, 2)]
    assert values == sorted(values)

    def moved(outputs):
        return DISTANCES[distance](*(cam(o.maps, model.fc.weight, y) for o in (clean, outputs))).mean()

    assert moved(end(objective, 10)) > moved(end(CE, 10))
