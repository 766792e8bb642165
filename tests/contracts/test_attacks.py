"""What every attack promises, with each norm that it has, on networks with every module."""

from typing import get_args

import pytest
import torch

from advsweep.testing import AttackContract
from advsweep.testing.attack import SOURCE, attack_few_classes
from tests.support.contract_cases import Registered, spec, specs
from trainables import config

#: Values of fields that have no default, or one that takes long.
SMALL = {
    "step": 0.03,
    "iterations": 6,
    "first": 3,
    "queries": 20,
    "samples": 4,
    "searches": 3,
    "targets": 2,
    "source": SOURCE,
    "attack": config.PGD(eps=0.1, step=0.03, iterations=4, start="zero"),
}
EPS = {"linf": 0.1, "l2": 1.0, "l1": 4.0}


def small(name, **settings):
    fields = specs(config.Attack)[name].model_fields
    few = {field: value for field, value in SMALL.items() if field in fields}
    if name == "as-training":
        few["attack"] = config.InfoFeature(eps=0.1, step=0.03, iterations=4)
    if "eps" in fields:
        few["eps"] = EPS[settings.get("norm", fields["norm"].default)]
    return spec(config.Attack, name, **(few | settings))


def norms(name):
    """Every norm that an attack has besides its default; Numba compiles Brendel & Bethge's for long each."""
    field = specs(config.Attack)[name].model_fields.get("norm")
    return [norm for norm in get_args(field.annotation) if norm != field.default] if field and name != "brendel-bethge" else []


#: Those that draw for each example of a batch, whatever they start at.
DRAWING = {
    "noise",
    "as-training",
    "avg-pgd",
    "di-fgsm",
    "md",
    "apgd",
    "brendel-bethge",
    "boundary",
    "square",
    "nattack",
    "autoattack",
}


class TestAttacks(Registered, AttackContract):
    """With what the built-ins that differ from the others say of themselves."""

    def specs(self):
        return [small(name) for name in specs(config.Attack)]

    def variants(self):
        return [*self.specs(), *(small(name, norm=norm) for name in specs(config.Attack) for norm in norms(name))]

    def asks(self, spec):
        return super().asks(spec) or spec.name == "transfer"

    def draws(self, spec):
        return spec.name in DRAWING

    def harms(self, spec, module):
        return super().harms(spec, module) and (spec.name, module) != ("cw-l2", "sap")

    def tolerance(self, spec):
        return 1e-5 if spec.name == "fab" else super().tolerance(spec)  # pyautoattack computes in single precision

    def distinct_aims(self, spec):
        return 4 if spec.name in {"square", "autoattack"} else 10  # where squares, or the first part, suffice


def test_no_attack_leaves_images_as_they_are():
    contract = TestAttacks()
    case = contract.case("cas")
    assert torch.equal(case.attacked(config.Natural(), torch.Generator()).images, case.x)


@pytest.mark.parametrize("loss", ["dlr", "targeted-dlr"])
def test_it_needs_as_many_classes_as_it_says(loss):
    spec = small("apgd", loss=loss)
    attack_few_classes(spec, spec.least_classes)
    with pytest.raises(RuntimeError, match="out of range"):
        attack_few_classes(spec, spec.least_classes - 1)
