"""What specifications say of themselves, read from their classes and docstrings."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field as Limited

from trainables.config import AutoAttack, AutoPGD, Transfer, TrialConfig
from trainables.config.entrance.description import BY_FIELDS, Field, Trait, fields_of, traits_of
from trainables.config.entrance.docstrings import field_meanings, summary
from trainables.config.entrance.dotted import dotted_fields, trial_fields
from trainables.config.terms.spec import Count, Named, NonNegative, Positive


class Base(Named):
    """What both are. ``size``: how large. ``weight``: how heavy; see :mod:`elsewhere`.

    Attributes:
        loud: whether it is heard,
            from afar. And more.
    """

    loud: ClassVar[bool] = False

    @property
    def corners(self) -> int:
        """How many corners it has. No more."""
        return 4


class Mine(Base):
    """A thing (Doe et al., 2020); see :mod:`trainables`. ``size``: its length, of ``weight`` none. Not of its height.

    ``kind`` is no clause; ``kind``: what it is like: ``a``, or ``b``. ``low`` and ``high``: its ends.
    """

    loud = True

    name: Literal["mine"] = "mine"
    size: Count
    weight: NonNegative | None = 2.0
    kind: Literal["a", "b"] = "a"
    low: Annotated[float, Limited(ge=0, lt=1)] = 0.5
    high: tuple[Positive, ...] = (1.0,)

    @property
    def corners(self) -> int:
        return 4 if self.kind == "a" else 3

    @property
    def area(self) -> int:
        """Its area."""
        return self.size**2


def test_fields():
    assert fields_of(Mine) == (
        Field("size", "integer", ">= 1", None, True, "its length, of weight none"),
        Field("weight", "number or null", ">= 0", 2.0, False, "how heavy"),
        Field("kind", "a | b", "", "a", False, "what it is like: a, or b"),
        Field("low", "number", ">= 0, < 1", 0.5, False, "its ends"),
        Field("high", "list of number", "> 0", [1.0], False, "its ends"),
    )


def test_traits():
    assert traits_of(Mine) == (
        Trait("loud", True, "whether it is heard, from afar"),
        Trait("corners", 4, "how many corners it has", {"kind=b": 3}),
        Trait("area", BY_FIELDS, "its area"),
    )


def test_a_summary_is_the_things_own():
    assert summary(Mine) == "A thing (Doe et al., 2020)"

    class Silent(Mine):
        pass

    del Silent.__doc__
    assert summary(Silent) == ""
    assert field_meanings(Silent, ["size"]) == {"size": "its length, of weight none"}


def test_traits_that_hang_on_fields():
    traits = {spec: {trait.name: trait for trait in traits_of(spec)} for spec in (AutoPGD, AutoAttack, Transfer)}
    assert traits[AutoPGD]["least_classes"].value == 2
    assert traits[AutoPGD]["least_classes"].otherwise == {"loss=dlr": 3, "loss=targeted-dlr": 4}
    assert traits[AutoAttack]["least_classes"].value == 2
    assert traits[AutoAttack]["parts"].value == ["apgd", "apgd", "fab", "square"]
    assert traits[AutoAttack]["parts"].otherwise["version=apgd-square"] == ["apgd", "square"]
    assert traits[Transfer]["least_classes"].value == BY_FIELDS


def test_fields_of_trials_are_those_that_there_are():
    there = {name for name, _ in dotted_fields(TrialConfig)} - {"seed"}
    listed = trial_fields()
    assert {field.name for field in listed} == there
    assert len({repr(field) for field in listed}) == len(listed)


def test_a_field_of_several_variants():
    found = {field.of: field.default for field in trial_fields() if field.name == "objective.label_smoothing"}
    assert found == {("standard", "at"): 0.0}
    [name] = [field for field in trial_fields() if field.name == "module.imgf.name"]
    assert (name.type, name.default) == ("sigmoid | softplus | softmax", "softmax")
    [name] = [field for field in trial_fields() if field.name == "training.averaging.name"]
    assert (name.default, name.required) == (None, True)
