"""Plugins that break the promises of their kind are refused before a trial starts, or in the trial that uses them."""

import pytest
import torch
import torch.nn.functional as F

from tests.support.sample_plugins import (
    INFO,
    RUNTIME,
    Blur,
    Corner,
    Dim,
    DimModule,
    Margin,
    SmallModel,
    every_plugin,
    half,
    registered,
    tiny,
)
from trainables.objectives.loss import cross_entropy
from trainables.plugins import (
    Adversarial,
    BadPlugin,
    Insertion,
    Loss,
    attack,
    data,
    model,
    module,
    objective,
    training_attack,
)
from trainables.plugins.preflight import preflight
from trainables.trial import Trial

pytestmark = pytest.mark.usefixtures("forgotten")


@every_plugin
def test_preflight_passes(kind):
    spec = registered(kind)
    preflight(spec, [spec.selection.attack])


def a_module(**methods):
    return type("BadModule", (DimModule,), {"__module__": DimModule.__module__, "__qualname__": "DimModule", **methods})


def smaller(self, z, y=None):
    return Insertion(z[:, :-1], self.fc(z.mean((2, 3))))


def silent(self, z, y=None):
    return Insertion(z, None)


def infinite(self, z, y=None):
    return Insertion(z * torch.inf, self.fc(z.mean((2, 3))))


def leaving(self, z, y=None):
    raise SystemExit(0)


def global_generator(self, z, y=None):
    return Insertion(z * (1 + 0.01 * torch.rand_like(z)), self.fc(z.mean((2, 3))))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (smaller, "module 'dim': RuntimeError: "),
        (silent, "module 'dim': logits of final, 1 must be (4, 10): [(4, 10)]"),
        (infinite, "module 'dim': logits are not finite"),
        (leaving, "module 'dim': SystemExit: 0"),
        (global_generator, "module 'dim': must draw from the generator that is given, and drew from torch's global one"),
    ],
)
def test_a_module_that_breaks_its_promise(forward, message):
    module(Dim)(a_module(forward=forward))
    with pytest.raises(BadPlugin) as error:
        preflight(tiny({"module": {"name": "dim"}}), [])
    assert str(error.value).startswith(message)


def test_a_module_that_hides_its_draws():
    module(Dim)(a_module(draws=property(lambda self: True)))
    with pytest.raises(BadPlugin, match=r"^module 'dim': draws is False in its configuration, and True in the network$"):
        preflight(tiny({"module": {"name": "dim"}}), [])


def outside(spec, case):
    return case.x + spec.eps


def beyond(spec, case):
    return (case.x - 2 * spec.eps).clamp(0, 1)


def fewer(spec, case):
    return case.x[:1]


def changing(spec, case):
    with torch.no_grad():
        case.network.fc.weight.mul_(2)
    return case.x


def broken(spec, case):
    return case.nothing


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (outside, "attack 'blur': must return images in [0, 1]; a pixel is not"),
        (beyond, "attack 'blur': must stay within eps = 0.1, and went to 0.2"),
        (fewer, "attack 'blur': must return images of the shape (4, 1, 8, 8), and returned (1, 1, 8, 8)"),
        (changing, "attack 'blur': must leave the network's weights, gradients and mode as they were"),
        (broken, "attack 'blur': AttributeError: 'Case' object has no attribute 'nothing' (test_broken_plugins.py, line "),
    ],
)
def test_an_attack_that_breaks_its_promise(function, message):
    attack(Blur)(function)
    with pytest.raises(BadPlugin) as error:
        preflight(tiny({}), [Blur(eps=0.1)])
    assert str(error.value).startswith(message)


def test_an_attack_that_breaks_it_in_a_trial_fails_there_too():
    attack(Blur)(beyond)
    trial = Trial(tiny({}), RUNTIME)
    with pytest.raises(BadPlugin, match=r"^attack 'blur': must stay within eps = 0\.1, and went to 0\.2"):
        trial.evaluate(Blur(eps=0.1), trial.weights())


def with_labels(spec, batch):
    return Adversarial(batch.x, F.one_hot(batch.y, 10).float())


def test_an_attack_must_declare_that_it_makes_labels():
    training_attack(Corner)(with_labels)
    with pytest.raises(BadPlugin, match=r"^training attack 'corner': makes labels of its own; its specification must say"):
        preflight(tiny({"attack": {"name": "corner", "eps": 0.1}}), [])


def flat(spec, model, x, x_adv, y, weights):
    outputs = model(x, y)
    return Loss(cross_entropy(outputs.logits, y).detach() + 0 * outputs.logits.sum(1), outputs)


def mean(spec, model, x, x_adv, y, weights):
    outputs = model(x, y)
    return Loss(cross_entropy(outputs.logits, y).mean(), outputs)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (flat, "objective 'margin': the loss has no gradient with respect to the network's weights"),
        (mean, "objective 'margin': the loss must be one number for each of 4 examples: torch.Size([])"),
    ],
)
def test_an_objective_that_breaks_its_promise(function, message):
    objective(Margin)(function)
    with pytest.raises(BadPlugin) as error:
        preflight(tiny({"objective": {"name": "margin"}}), [])
    assert str(error.value).startswith(message)


def test_a_model_whose_positions_are_others():
    model("small", (2, 1))(SmallModel)
    with pytest.raises(BadPlugin, match=r"^model 'small': channels has the positions block1\.1, block2\.1"):
        preflight(tiny({"model": {"name": "small"}}), [])


def test_a_data_set_of_another_shape():
    data("half", INFO._replace(test=60))(half)
    with pytest.raises(BadPlugin, match=r"^data set 'half': test images must be \(60, 1, 8, 8\)"):
        Trial(tiny({"data": {"dataset": "half", "validation": 0.2}}), RUNTIME)
