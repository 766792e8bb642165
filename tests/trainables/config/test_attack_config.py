"""Allowed settings of evaluation attacks, their canonical forms and their prefixes."""

from contextlib import nullcontext

import pytest
from pydantic import TypeAdapter, ValidationError

from trainables.config import (
    CAS,
    FAB,
    FSR,
    MD,
    PGD,
    Attack,
    AutoAttack,
    AutoPGD,
    Boundary,
    Data,
    DatasetInfo,
    NAttack,
    Natural,
    Noise,
    NoModule,
    Selection,
    Sensitivity,
    Square,
    Transfer,
    TrialConfig,
    attack_key,
    canonical_attack,
    canonical_measure,
    is_prefix,
)
from trainables.config.terms.registry import DATA

STEP = {"step": 0.1, "iterations": 2}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"name": "pgd", "eps": 1.5, **STEP}, "eps = 1.5: must be at most 1 with norm=linf"),
        ({"name": "noise", "eps": 2.0}, "eps = 2.0: must be at most 1"),
        ({"name": "pgd", "eps": 1.0, **STEP, "norm": "l3"}, "norm"),
        ({"name": "pgd", "eps": 1.0, **STEP, "view": "bright"}, "view"),
        ({"name": "pgd", "eps": 1.0, **STEP, "eot": 0}, "eot"),
        ({"name": "ddn", "eps": 1.0, "norm": "linf"}, "norm"),
        ({"name": "md", "eps": 0.1, "iterations": 10, "first": 10}, "first = 10: must be less than iterations = 10"),
        ({"name": "nattack", "eps": 0.1, "queries": 10, "samples": 11}, "samples = 11: must be at most queries = 10"),
        ({"name": "square", "eps": 0.1, "view": "soft"}, "view"),
        ({"name": "transfer", "source": "x", "attack": {"name": "fgsm", "eps": 0.1}}, "source"),
        ({"name": "transfer", "source": "0" * 16, "attack": {"name": "natural"}}, "natural"),
        ({"name": "apgd", "eps": 1.0, "norm": "l1"}, "norm"),
    ],
)
def test_invalid_settings_are_refused(settings, complaint):
    with pytest.raises(ValidationError, match=complaint):
        TypeAdapter(Attack).validate_python(settings)


def test_an_eps_above_1_is_allowed_in_other_norms():
    for spec in (PGD(eps=3.0, norm="l2", **STEP), FAB(eps=9.0, norm="l1"), Square(eps=2.0, norm="l2")):
        assert TypeAdapter(Attack).validate_json(spec.model_dump_json()) == spec


def test_a_nested_attack_survives_the_record():
    spec = Transfer(source="0123456789abcdef", attack=PGD(eps=0.1, **STEP))
    assert TypeAdapter(Attack).validate_json(spec.model_dump_json()) == spec
    assert attack_key(spec) != attack_key(spec.model_copy(update={"checkpoint": "best"}))


AIMLESS = [Natural(), Noise(eps=0.1), Boundary(eps=1.0), Transfer(source="0" * 16, attack=MD(eps=0.1))]


@pytest.mark.parametrize("attack", AIMLESS)
def test_an_attack_without_aim_is_canonical_for_every_module(attack):
    assert canonical_attack(attack, CAS()) == canonical_attack(attack, NoModule()) == attack


@pytest.mark.parametrize("attack", [AutoPGD(eps=0.1), FAB(eps=0.1), AutoAttack(eps=0.1), NAttack(eps=0.1)])
def test_every_aim_has_one_form(attack):
    assert canonical_attack(attack, CAS(beta=3.0)).beta_atk == "3"
    assert canonical_attack(attack, NoModule()).beta_atk == "0"
    assert canonical_attack(attack.model_copy(update={"beta_atk": "inf-1"}), NoModule()) is None


@pytest.mark.parametrize(
    ("module", "view", "canonical"),
    [
        (NoModule(), "soft", "plain"),
        (NoModule(), "train", "plain"),
        (CAS(), "soft", "soft"),
        (CAS(), "train", "plain"),
        (FSR(), "train", "train"),
        (FSR(), "plain", "plain"),
    ],
)
def test_a_view_that_the_module_does_not_have_is_plain(module, view, canonical):
    assert canonical_attack(AutoAttack(eps=0.1, view=view), module).view == canonical


def test_a_training_selects_by_no_other_trials_network():
    with pytest.raises(ValidationError, match=r"selection\.attack\.name must not be transfer"):
        TrialConfig(selection=Selection(attack=Transfer(source="0" * 16, attack=PGD(eps=0.1, **STEP))))


# --- prefixes -------------------------------------------------------------------------------------------

PGD_20 = PGD(eps=0.1, step=0.01, iterations=20, beta_atk="2")


@pytest.mark.parametrize(
    ("fields", "yes"),
    [
        ({"iterations": 100}, True),
        ({"restarts": 5}, True),
        ({}, False),  # the same
        ({"iterations": 10}, False),  # less of it
        ({"iterations": 100, "restarts": 5}, False),  # its later restarts start at other points
        ({"iterations": 100, "step": 0.02}, False),
        ({"iterations": 100, "eps": 0.2}, False),
        ({"iterations": 100, "beta_atk": "0"}, False),
        ({"iterations": 100, "start": "zero"}, False),
        ({"iterations": 100, "view": "soft"}, False),  # on a view the end point alone is judged
    ],
)
def test_prefixes_of_an_attack(fields, yes):
    assert is_prefix(PGD_20, PGD_20.model_copy(update=fields)) is yes


def test_with_several_restarts_fewer_steps_are_no_prefix():
    short, long = (PGD_20.model_copy(update={"iterations": k, "restarts": 2}) for k in (20, 100))
    assert not is_prefix(short, long)


def test_attacks_whose_steps_depend_on_their_number_have_no_prefix():
    for kind in (MD, AutoPGD, FAB):
        assert not is_prefix(kind(eps=0.1, iterations=30), kind(eps=0.1, iterations=60))


# --- a sample of the test set -------------------------------------------------------------------------------------------


OTHER_IMAGES = pytest.mark.parametrize(("field", "value"), [("examples", 100), ("split", "validation")])


@OTHER_IMAGES
def test_an_attack_on_other_images_has_another_key(field, value):
    other = PGD_20.model_copy(update={field: value})
    assert attack_key(other) != attack_key(PGD_20)
    with pytest.raises(ValidationError, match=rf"attack.{field} = {value}: must be null, for it is the transfer's"):
        Transfer(source="0" * 16, attack=other)
    assert getattr(Transfer(source="0" * 16, attack=PGD_20, **{field: value}), field) == value


@OTHER_IMAGES
def test_a_training_selects_on_its_whole_split(field, value):
    with pytest.raises(ValidationError, match=rf"selection.attack.{field} = {value}: must be null"):
        TrialConfig(selection=Selection(attack=PGD_20.model_copy(update={field: value})))


@OTHER_IMAGES
def test_a_measure_is_of_the_whole_test_set(field, value):
    measure = Sensitivity(attack=PGD_20.model_copy(update={field: value}))
    with pytest.raises(ValueError, match=rf"attack.{field} = {value}: must be null, for measures are of the whole test set"):
        canonical_measure(measure, TrialConfig())


DLR = AutoPGD(eps=0.1, loss="dlr")
FOUR = AutoPGD(eps=0.1, loss="targeted-dlr")
WITHIN = Transfer(source="0" * 16, attack=FOUR)


@pytest.mark.parametrize(
    ("attack", "least"),
    [(DLR, 3), (FOUR, 4), (WITHIN, 4)],
)
def test_an_attack_is_refused_on_data_of_fewer_classes_than_it_needs(attack, least, monkeypatch):
    for classes in (least - 1, least):
        monkeypatch.setitem(DATA.infos, "digits", DatasetInfo(classes, 1, 8, 100, 50))
        data = Data(dataset="digits")
        complaint = (
            f"attack.name = '{attack.name}': needs data of {least} or more classes.* data.dataset = 'digits' has {classes}"
        )
        with pytest.raises(ValueError, match=complaint) if classes < least else nullcontext():
            attack.check_classes("attack", data)
        with pytest.raises(ValueError, match=complaint) if classes < least else nullcontext():
            canonical_measure(Sensitivity(attack=attack), TrialConfig(data=data))
        if attack.direct:
            with pytest.raises(ValidationError, match=f"selection.{complaint}") if classes < least else nullcontext():
                TrialConfig(data=data, selection=Selection(attack=attack))


AA = AutoAttack(eps=0.1, targets=5, iterations=7)


@pytest.mark.parametrize("version", ["standard", "apgd-square", "rand"])
def test_autoattack_gives_up_what_needs_more_classes(version):
    whole = AA.model_copy(update={"version": version})
    assert whole.on(10) is not None
    for classes in (4, 5, 10):
        assert whole.on(classes) == whole == whole.on(2).on(classes)
        assert whole.on(classes).remark == ""
    parts = {n: [(p.name, getattr(p, "loss", ""), getattr(p, "targets", "")) for p in whole.on(n).parts] for n in (2, 3)}
    apgd = {n: [loss for name, loss, _ in found if name == "apgd"] for n, found in parts.items()}
    others = {n: [name for name, *_ in found if name != "apgd"] for n, found in parts.items()}
    if version == "apgd-square":
        assert whole.on(2) == whole
        return
    assert apgd == {2: ["ce", "margin"], 3: ["ce", "dlr"]}
    assert others == {n: ["fab", "square"] if version == "standard" else [] for n in (2, 3)}
    for n in (2, 3):
        assert all(part.least_classes <= n for part in whole.on(n).parts)
        assert not any(getattr(part, "targets", 0) for part in whole.on(n).parts if part.name == "fab")
    assert whole.on(2).remark.startswith("autoattack on data of 2 classes has the parts apgd (ce), apgd (margin)")
    assert Transfer(source="0" * 16, attack=whole).on(2).attack == whole.on(2)


def test_four_classes_keep_autoattacks_key():
    assert "classes" not in AA.model_dump(mode="json")
    assert AA.on(3).model_dump(mode="json")["classes"] == 3
