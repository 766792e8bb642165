"""Plugins of every kind are trained and attacked as built-ins are."""

from typing import Literal

import pytest
import torch
from pydantic import ValidationError

from tests.support.sample_plugins import (
    INFO,
    RUNTIME,
    Blur,
    Corner,
    Dim,
    DimModule,
    Margin,
    SmallModel,
    Twice,
    TwiceLearner,
    blur,
    corner,
    every_plugin,
    half,
    margin,
    registered,
    tiny,
)
from trainables import config
from trainables.config.entrance.parsing import ATTACK, reopen
from trainables.config.terms import registry
from trainables.config.terms.registry import MODULE
from trainables.plugins import BadPlugin, Silent, attack, data, model, module, objective, training_attack
from trainables.trial import Trial

pytestmark = pytest.mark.usefixtures("forgotten")


@every_plugin
def test_a_plugin_is_trained_and_attacked_as_a_built_in_is(kind):
    spec = registered(kind)
    trial = Trial(spec, RUNTIME)
    before = {name: tensor.clone() for name, tensor in trial.weights().items()}
    figures = [trial.step(), trial.step()]
    assert trial.finished
    assert all(0 <= f["robust_accuracy"] <= f["natural_accuracy"] <= 1 for f in figures)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in trial.weights().items())
    seen = spec.selection.attack
    found = trial.evaluate(seen, trial.weights())
    assert found.accuracy <= trial.evaluate(config.Natural(), trial.weights()).accuracy
    assert len(found.ranks["final"]) == (50 if kind == "data" else 64)
    again = Trial(spec, RUNTIME)
    again.load_state_dict(trial.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(again.weights().values(), trial.weights().values(), strict=True))


@every_plugin
def test_a_configuration_with_a_plugin_survives_json_without_a_warning(kind, recwarn):
    spec = registered(kind)
    assert config.TrialConfig.model_validate_json(spec.model_dump_json()) == spec
    assert not recwarn.list
    assert registry.used_plugins(spec) == {*registry.plugins()}


@every_plugin
def test_an_unregistered_plugin_is_refused(kind):
    text = registered(kind).model_dump_json()
    for kind in registry.KINDS:
        for name in kind.plugins:
            del kind.entries[name], kind.infos[name]
    reopen()
    with pytest.raises(ValueError, match=r"\b(half|small|dim|margin|twice|corner|blur)\b"):
        config.TrialConfig.model_validate_json(text)


def test_a_plugin_attack_is_accepted_wherever_an_attack_is():
    attack(Blur)(blur)
    mine = Blur(eps=0.1)
    nested = [
        config.Transfer(source="0" * 16, attack=mine),
        config.Sensitivity(attack=mine),
        config.Perturbations(attack=mine, reference=config.FGSM(eps=0.1)),
    ]
    assert ATTACK.validate_json(nested[0].model_dump_json()) == nested[0]
    assert [type(spec).model_validate_json(spec.model_dump_json()) for spec in nested] == nested
    assert all(registry.used_plugins(spec) == {*registry.plugins()} for spec in nested)
    training_attack(Corner)(corner)
    inner = config.AsTraining(attack=Corner(eps=0.1))
    assert ATTACK.validate_json(inner.model_dump_json()) == inner


def test_the_joint_loss_of_a_plugin_module_is_attacked():
    module(Dim)(DimModule)
    spec = tiny({"module": {"name": "dim"}})
    trial = Trial(spec, RUNTIME)
    for beta in ("0", "1", "inf", "inf-1"):
        trial.evaluate(config.PGD(eps=0.1, step=0.05, iterations=2, beta_atk=beta), trial.weights())
    assert config.heads(spec.module) == ["final", "1"]
    assert set(trial.evaluate(config.FGSM(eps=0.1), trial.weights(), complete=True).ranks) == {"final", "1"}


def refused(settings):
    """The message about a configuration that is refused."""
    with pytest.raises(ValidationError) as error:
        tiny(settings)
    return str(error.value)


def test_messages_list_registered_plugins_among_what_is_allowed():
    assert "'dim'" not in refused({"module": {"name": "dam"}})
    module(Dim)(DimModule)
    data("half", INFO)(half)
    model("small", (1, 1))(SmallModel)
    assert "'none', 'cas', 'cifs', 'fsr', 'kwta', 'sap', 'dim'" in refused({"module": {"name": "dam"}})
    assert "'digits' or 'half'" in refused({"data": {"dataset": "whole"}})
    assert "'lenet-afd' or 'small'" in refused({"model": {"name": "large"}})
    small = {"model": {"name": "small"}}
    places = "allowed: block1, block2, block1.1, block2.1, P1, P2, all"
    assert places in refused({**small, "module": {"name": "cas", "positions": ["P3"]}})
    assert tiny({**small, "module": {"name": "cas", "positions": ["all"]}}).module.positions == ("block1.1", "block2.1")


# --- what is refused ----------------------------------------------------------------------------------------------------


class Nameless(Silent):
    positions: tuple[str, ...] = ("P1",)


class Manifold(Silent):
    name: Literal["one", "two"] = "one"
    positions: tuple[str, ...] = ("P1",)


class Loud(Silent):
    name: Literal["Loud"] = "Loud"
    positions: tuple[str, ...] = ("P1",)


class Positionless(Silent):
    name: Literal["positionless"] = "positionless"


class OtherCAS(Silent):
    name: Literal["cas"] = "cas"
    positions: tuple[str, ...] = ("P1",)


class OtherNone(Silent):
    name: Literal["none"] = "none"
    positions: tuple[str, ...] = ("P1",)


class OtherDim(Silent):
    name: Literal["dim"] = "dim"
    positions: tuple[str, ...] = ("P1",)


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (lambda: module(Nameless), 'module Nameless: must have a single name: name: Literal["mine"] = "mine"'),
        (lambda: module(Manifold), "module Manifold: must have a single name"),
        (lambda: module(Loud), "module 'Loud': the name must be of a-z, 0-9 and dashes, and begin with a letter"),
        (lambda: module(Positionless), "module 'positionless': Positionless must have the field positions: tuple"),
        (lambda: module(DimModule), "module DimModule: its specification must derive from Silent or Predicting"),
        (lambda: module(Margin), "module Margin: its specification must derive from Silent or Predicting"),
        (lambda: objective(Dim), "objective Dim: its specification must derive from Trained"),
        (lambda: training_attack(Blur), "training attack Blur: its specification must derive from Bounded"),
        (lambda: attack(Corner), "attack Corner: its specification must derive from AttackSpec"),
        (lambda: module(OtherCAS)(DimModule), "module 'cas': the name is a built-in's; choose another"),
        (lambda: module(OtherNone)(DimModule), "module 'none': the name is a built-in's; choose another"),
        (lambda: model("lenet", (1,))(SmallModel), "model 'lenet': the name is a built-in's; choose another"),
        (lambda: data("digits", INFO)(half), "data set 'digits': the name is a built-in's; choose another"),
        (lambda: model("small", (1, 0)), "model 'small': blocks = (1, 0): must be the numbers of positions in each stage"),
        (lambda: module(Dim)(SmallModel), "module 'dim': must be a class of InsertedModule, and is the class SmallModel"),
        (lambda: module(Dim)(margin), "module 'dim': must be a class of InsertedModule, and is a function"),
        (lambda: objective(Margin)(SmallModel), "objective 'margin': must be a function, or a class of Learner, and is"),
        (lambda: attack(Blur)(SmallModel), "attack 'blur': must be a function, and is the class SmallModel"),
        (lambda: attack(Blur)(3), "attack 'blur': must be a function, and is a int"),
        (lambda: (module(Dim)(DimModule), module(OtherDim)(DimModule)), "module 'dim': is registered twice, with different"),
        (
            lambda: attack(Blur)(eval("lambda spec, case: case.x", {"__name__": "nowhere"})),
            "attack 'blur': its code must be in",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused_with_the_reason(register, message):
    with pytest.raises(BadPlugin) as error:
        register()
    assert str(error.value).startswith(message)
    assert not registry.plugins() or message.endswith("with different")


def test_registering_the_same_again_changes_nothing():
    module(Dim)(DimModule)
    before = registry.plugins()
    module(Dim)(DimModule)
    assert registry.plugins() == before
    assert MODULE.load("dim") is DimModule


def test_objectives_say_whether_they_are_attacked():
    objective(Twice)(TwiceLearner)
    objective(Margin)(margin)
    assert tiny({"objective": {"name": "twice"}, "attack": None}).attack is None
    assert tiny({"objective": {"name": "twice"}}).attack is not None
    with pytest.raises(ValueError, match=r"attack must not be null with objective\.name=margin, which"):
        tiny({"objective": {"name": "margin"}, "attack": None})


@every_plugin
def test_a_training_with_a_plugin_is_no_prefix(kind):
    spec = registered(kind)
    stepwise = spec.model_copy(update={"training": config.Training(epochs=2, batch_size=16)})
    without = config.TrialConfig(training=stepwise.training)
    (of_one,), (of_other,) = (config.trial_keys(trial, [0]) for trial in (without, stepwise))
    assert of_one.family is not None
    assert of_other.family is None
