import torch
import torch.nn.functional as F

from tests.support.small_network import examples, small
from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.methods.pgd import pgd
from trainables.attacks.training.adversarial_interpolation import interpolated_labels, similarity_to_mirror
from trainables.attacks.training.run import training_attack
from trainables.config import AdversarialInterpolation, NoModule


def test_labels_move_to_every_class_but_the_others():
    """.5 y + .5 (1 - y_t) / (C - 1), number by number."""
    y, C, eps_y = [2, 0, 1, 0], 4, 0.5
    expected = [[(1 - eps_y) * (c == y[i]) + eps_y * (c != y[-1 - i]) / (C - 1) for c in range(C)] for i in range(len(y))]
    torch.testing.assert_close(interpolated_labels(torch.tensor(y), C, eps_y=eps_y), torch.tensor(expected))
    hard = interpolated_labels(torch.tensor(y), C, eps_y=0.0)
    assert torch.equal(hard, F.one_hot(torch.tensor(y), C).float())


def test_it_is_one_step_towards_the_mirrored_images_features():
    model = small()
    x, y = examples(7)  # an odd batch: the fourth is its own mirror
    eps = 0.05
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    start = (x + eps * (2 * u - 1)).requires_grad_()
    assert ((start < 0) | (start > 1)).any()
    target = torch.stack([model(x).features[6 - i] for i in range(7)]).detach()
    loss = (1 - F.cosine_similarity(model(start).features, target)).sum()
    (gradient,) = torch.autograd.grad(loss, start)
    expected = (start - eps * gradient.sign()).clamp(x - eps, x + eps).clamp(0, 1).detach()
    spec = AdversarialInterpolation(eps=eps, eps_y=0.3)
    found, targets = training_attack(spec, NoModule(), model, x, y, torch.Generator().manual_seed(0), 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(targets, interpolated_labels(y, 4, eps_y=0.3))


def test_the_similarity_rises_along_the_steps():
    model = small()
    x, y = examples(24)
    objective = similarity_to_mirror(clean_outputs(model, x))
    values = []
    for n in range(0, 9, 2):
        settings = {"eps": 0.1, "step": 0.01, "iterations": n, "generator": torch.Generator().manual_seed(0)}
        values.append(objective(clean_outputs(model, pgd(model, x, y, objective=objective, **settings)), y).mean().item())
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.01
