"""Measures as configurations: identity, canonical form, and what is refused."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from trainables import config
from trainables.config.terms.registry import MEASURE

DIGITS = config.Data(dataset="digits")
RESNET = config.TrialConfig(data=DIGITS)
CIFS = config.TrialConfig(data=DIGITS, module=config.CIFS())
PGD = config.PGD(eps=0.1, step=0.03, iterations=4)

#: One of each kind, and for each of its fields another value.
MEASURES: dict[Any, dict[str, Any]] = {
    config.Activations(): {"attack": PGD, "position": "P2", "masked": True, "label": 0, "threshold": 0.05},
    config.Sensitivity(attack=PGD): {"attack": config.FGSM(eps=0.1)},
    config.ClassGradients(): {"likelihood": "logit"},
    config.Dimensions(): {"attack": PGD, "variance": 0.9},
    config.Perturbations(attack=config.FGSM(eps=0.1), reference=PGD): {"attack": PGD, "reference": config.Natural()},
    config.Soundness(): {},
    config.TSNE(): {"attack": PGD, "examples": 10, "perplexity": 5.0},
}
CHANGES = [(measure, field, value) for measure, others in MEASURES.items() for field, value in others.items()]


def test_every_kind_and_every_field_is_tried_here():
    assert {type(measure) for measure in MEASURES} == set(MEASURE.infos.values())
    for measure, others in MEASURES.items():
        assert others.keys() == type(measure).model_fields.keys() - {"name"}


@pytest.mark.parametrize(("measure", "field", "value"), CHANGES, ids=lambda case: getattr(case, "name", case))
def test_every_field_is_a_part_of_the_identity(measure, field, value):
    other = measure.model_copy(update={field: value})
    assert config.measure_key(other) != config.measure_key(measure)
    assert config.measurement_key("t", "best", other) != config.measurement_key("t", "best", measure)


def test_keys_are_of_the_trial_and_the_checkpoint_too():
    measure = config.ClassGradients()
    keys = {config.measurement_key(trial, checkpoint, measure) for trial in "ab" for checkpoint in ("best", "last")}
    assert len(keys) == 4
    assert len({len(key) for key in (*keys, config.measure_key(measure))}) == 1
    assert config.measure_key(measure) == config.measure_key(config.ClassGradients(likelihood="probability"))


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.name)
def test_a_measure_comes_back_from_json(measure):
    assert TypeAdapter(config.Measure).validate_json(measure.model_dump_json()) == measure


@pytest.mark.parametrize("trial", [RESNET, CIFS])
def test_equal_measures_have_one_form(trial):
    def form(**settings):
        return config.canonical_measure(config.Activations(**settings), trial)

    assert form() == form(position="block4.2") == form(position="P1")
    assert form(position="P2").position == "block4.1"
    assert (form(masked=True) == form()) == (trial is RESNET)
    own = trial.module.beta
    assert form(attack=PGD) == form(attack=PGD.model_copy(update={"beta_atk": str(own)}))
    assert config.canonical_measure(form(attack=PGD, masked=True), trial) == form(attack=PGD, masked=True)


@pytest.mark.parametrize("field", ["attack", "reference"])
def test_a_measure_whose_attack_aims_at_a_missing_module_has_no_canonical_form(field):
    aimed = PGD.model_copy(update={"beta_atk": "inf-2"})
    measure = config.Perturbations(**({"attack": PGD, "reference": PGD} | {field: aimed}))
    assert config.canonical_measure(measure, RESNET) is None
    assert getattr(config.canonical_measure(measure, CIFS), field) == aimed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position": "block4"}, r"position = 'block4': must be a single block; it is block4\.1, block4\.2"),
        ({"position": "all"}, r"position = 'all': must be a single block"),
        ({"position": "block9"}, r"'block9' is none of resnet-18; allowed: "),
        ({"label": 10}, r"label = 10: must be less than 10, the classes of digits"),
    ],
)
def test_a_missing_position_or_class_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        config.canonical_measure(config.Activations(**settings), RESNET)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (config.Activations, {"threshold": 1.0}),
        (config.Activations, {"threshold": -0.01}),
        (config.Activations, {"label": -1}),
        (config.Sensitivity, {}),
        (config.ClassGradients, {"likelihood": "loss"}),
        (config.Dimensions, {"variance": 1.0}),
        (config.Perturbations, {"attack": PGD}),
        (config.TSNE, {"examples": 0}),
        (config.TSNE, {"perplexity": 0.0}),
    ],
)
def test_values_out_of_range_are_refused(kind, settings):
    with pytest.raises(ValidationError):
        kind(**settings)
