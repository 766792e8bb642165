"""What a part of one's own is goes into the keys of what has it, and nothing else does."""

import hashlib
import importlib.util
import json
import sys
from types import ModuleType
from typing import Literal

import pytest

from tests.support.plugin_parts import PARTS, Blur, DimModule, blur, registered, tiny
from trainables import config
from trainables.config.entrance.parsing import reopen
from trainables.config.terms import registry
from trainables.plugins import BadPlugin, Silent, attack, module

pytestmark = pytest.mark.usefixtures("forgotten")


def test_the_keys_of_the_houses_parts_stay_whatever_is_registered():
    """Results that were recorded before there was anything of one's own are found as they were."""

    def keys():
        return [make(spec) for make, spec in zip((config.trial_key, config.attack_key, config.measure_key), SPECS, strict=True)]

    texts = [
        json.dumps([kind, spec.model_dump(mode="json"), dict(versions)], **COMPACT)
        for kind, spec, versions in zip(KINDS, SPECS, VERSIONS, strict=True)
    ]
    pinned = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    assert keys() == pinned
    for kind in PARTS:
        registered(kind)
    assert keys() == pinned


KINDS = ("trial", "attack", "measure")
SPECS = (config.TrialConfig(), config.PGD(eps=0.1, step=0.1, iterations=3), config.Sensitivity(attack=config.FGSM(eps=0.1)))
TRAINED = ("data set 'cifar10'", "model 'resnet-18'", "module 'none'", "objective 'at'", "training attack 'pgd'")
VERSIONS = (
    dict.fromkeys(("training", *TRAINED), 1),
    {"evaluation": 1, "attack 'pgd'": 1},
    {"measurement": 1, "measure 'sensitivity'": 1, "attack 'fgsm'": 1},
)
COMPACT = {"sort_keys": True, "separators": (",", ":")}


SOURCE = '''
"""A part."""
from typing import Literal
import torch
from torch import nn
from trainables.plugins import InsertedModule, Insertion, Silent, module
import beside_of_test_extension

FACTOR = 0.5

def helper(z):
    return z * FACTOR

def stranger(z):
    return z

class Fade(Silent):
    """Words."""
    name: Literal["fade"] = "fade"
    positions: tuple[str, ...] = ("P1",)

@module(Fade)
class FadeModule(InsertedModule):
    def forward(self, z, y=None):
        # A comment.
        return Insertion(helper(z), None)
'''


@pytest.fixture
def key(tmp_path, monkeypatch):
    """The key of a trial with the module of a file like SOURCE, after editing it."""
    monkeypatch.syspath_prepend(tmp_path)
    restore = registry.restorable()

    def of(old: str = "", new: str = "", beside: str = "DEPTH = 1\n", *, source: str = SOURCE) -> str:
        assert old in source
        restore()
        reopen()
        (tmp_path / "beside_of_test_extension.py").write_text(beside)
        sys.modules.pop("beside_of_test_extension", None)
        file = tmp_path / "part_of_test_extension.py"
        file.write_text(source.replace(old, new, 1) if old else source)
        importlib.invalidate_caches()
        run("part_of_test_extension", file)
        return config.trial_key(tiny({"module": {"name": "fade"}}))

    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield of
    sys.dont_write_bytecode = before
    for name in ("beside_of_test_extension", "part_of_test_extension"):
        sys.modules.pop(name, None)


def run(name, file) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, file)
    made = importlib.util.module_from_spec(found)
    sys.modules[name] = made
    found.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# A comment.", "# Another comment."),
        ('"""Words."""', '"""Other words."""'),
        ('    """Words."""\n', ""),
        ('"""A part."""', "# no part"),
        ("return z * FACTOR", "return (z\n        * FACTOR)"),
        ("    return z\n", "    return -z\n"),  # of a stranger
        ("import torch\n", "import torch\nimport json\n"),
        ("Silent, module", "Silent, module, attack"),
    ],
)
def test_tidying_a_part_leaves_its_key(key, old, new):
    assert key(old, new) == key()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Insertion(helper(z), None)", "Insertion(z, None)"),
        ("return z * FACTOR", "return z / FACTOR"),
        ("FACTOR = 0.5", "FACTOR = 0.6"),
        ("@module(Fade)", "@module(Fade, version=1)"),
        ('("P1",)', '("P1",)\n    by: float = 1.0'),
        ("from torch import nn", "from torch import nn\nfrom operator import mul as Insertion"),
    ],
)
def test_editing_a_part_changes_its_key(key, old, new):
    assert key(old, new) != key()


def test_what_a_part_uses_of_the_file_beside_it_is_a_part_of_its_key(key):
    uses = ("return z * FACTOR", "return z * beside_of_test_extension.DEPTH")
    assert key(*uses, "DEPTH = 1\n") == key(*uses, "DEPTH = 1  # deep\n") != key(*uses, "DEPTH = 2\n")
    assert key(beside="DEPTH = 1\n") == key(beside="DEPTH = 2\n")


def test_an_attack_that_is_edited_is_another_one_and_trains_nothing_anew():
    attack(Blur)(blur)
    trial, one = config.trial_key(tiny({})), config.attack_key(Blur(eps=0.1))
    registry.ATTACK.add(registry.renumbered(registry.ATTACK.entries["blur"], "another"))
    assert config.attack_key(Blur(eps=0.1)) != one
    assert config.attack_key(config.Transfer(source="0" * 16, attack=Blur(eps=0.1))) != one
    assert config.trial_key(tiny({})) == trial


class OtherFade(Silent):
    name: Literal["fade"] = "fade"
    positions: tuple[str, ...] = ("P1",)


def test_a_name_that_another_file_has(key):
    key()
    with pytest.raises(BadPlugin, match=r"^module 'fade': the name is taken by .*part_of_test_extension\.py$"):
        module(OtherFade)(DimModule)
