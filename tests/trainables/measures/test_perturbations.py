import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine

from tests.support.measured_network import attacked, images, outputs, subject
from trainables import config
from trainables.measures import run_measure
from trainables.measures.perturbations import angle

FGSM = config.FGSM(eps=0.1, beta_atk="0")
PGD = config.PGD(eps=0.1, step=0.04, iterations=3, beta_atk="0")


@pytest.mark.parametrize("known", [0.0, 1e-12, 1e-7, 0.3, np.pi / 2, 3.0, np.pi - 1e-9, np.pi])
def test_a_known_angle(known, generator):
    e1, e2 = torch.linalg.qr(torch.randn(9, 2, generator=generator, dtype=torch.float64)).Q.T
    u = 3 * e1[None]
    v = 1e-5 * (np.cos(known) * e1 + np.sin(known) * e2)[None]
    assert angle(u, v).item() == pytest.approx(known, rel=1e-2 if known < 1e-10 else 1e-6, abs=1e-15)


def test_each_row_has_its_own(generator):
    u, v = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    expected = [np.arccos(1 - cosine(a, b)) for a, b in zip(u.numpy(), v.numpy(), strict=True)]
    np.testing.assert_allclose(angle(u, v).numpy(), expected)


def test_a_vector_of_zero_has_no_angle():
    assert angle(torch.zeros(1, 3), torch.ones(1, 3)).isnan().all()


def expected(ours, first, second):
    """Compute the measure from the images of both attacks, pixel by pixel."""
    ends = [attacked(ours, attack) for attack in (first, second)]
    d, d0 = ((end - images(ours.examples)).double().flatten(1).numpy() for end in ends)
    E, E0 = ((outputs(ours, end).features.double() - outputs(ours).features.double()).numpy() for end in ends)
    return (
        [sum((a - b) ** 2 for a, b in zip(u, v, strict=True)) ** 0.5 for u, v in zip(d, d0, strict=True)],
        [np.arccos(np.clip(1 - cosine(u, v), -1, 1)) for u, v in zip(d, d0, strict=True)],
        [np.arccos(np.clip(1 - cosine(u, v), -1, 1)) for u, v in zip(E, E0, strict=True)],
    )


def test_between_two_attacks_on_a_network():
    ours = subject(batch_size=40)
    other = config.PGD(eps=0.2, step=0.1, iterations=2, start="zero", beta_atk="0")
    found = run_measure(config.Perturbations(attack=other, reference=FGSM), ours)
    distance, angles, representation_angles = expected(ours, other, FGSM)
    assert found.keys() == {"distance", "angle", "representation_angle"}
    np.testing.assert_allclose(found["distance"], distance, rtol=1e-5)
    np.testing.assert_allclose(found["angle"], angles, rtol=1e-5)
    np.testing.assert_allclose(found["representation_angle"], representation_angles, rtol=1e-2)


@pytest.mark.parametrize("batch_size", [7, 40])
def test_an_attack_is_no_distance_from_itself(batch_size):
    """With random starts too: both attacks draw the same numbers."""
    found = run_measure(config.Perturbations(attack=PGD, reference=PGD), subject(batch_size=batch_size))
    assert not any(values.any() for values in found.values())


def test_two_attacks_with_random_starts_begin_at_the_same_points():
    """A step each takes them apart by two steps a pixel at most, and half of the pixels of the ball would be eps apart."""
    settings = {"eps": 0.1, "step": 1e-4, "iterations": 1, "beta_atk": "0"}
    cw = config.CW(confidence=0.1, **settings)
    found = run_measure(config.Perturbations(attack=cw, reference=config.PGD(**settings)), subject())
    assert 0 < found["distance"].max() <= 2e-4 * 8 + 1e-6


def test_the_reference_is_as_in_its_evaluation():
    ours = subject()
    d0 = attacked(ours, PGD, f"{config.evaluation_stream(PGD)}/0") - images(ours.examples)
    found = run_measure(config.Perturbations(attack=config.Natural(), reference=PGD), ours)["distance"]
    np.testing.assert_allclose(found, d0.double().flatten(1).norm(dim=1).numpy())


def test_a_perturbation_of_zero_has_a_distance_and_no_angle():
    found = run_measure(config.Perturbations(attack=config.Natural(), reference=FGSM), subject())
    assert (found["distance"] > 0).all()
    assert np.isnan(found["angle"]).all()
    assert np.isnan(found["representation_angle"]).all()
