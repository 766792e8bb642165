"""A plugin's code enters the keys of the trials and attacks that use it, and no other key."""

import hashlib
import importlib.util
import json
import sys
from types import ModuleType
from typing import Literal

import pytest

from tests.support.sample_plugins import PLUGINS, Blur, DimModule, blur, registered, tiny
from trainables import config
from trainables.config.entrance.parsing import reopen
from trainables.config.terms import registry
from trainables.plugins import BadPlugin, Silent, attack, module

pytestmark = pytest.mark.usefixtures("forgotten")


def test_registering_plugins_changes_no_key_of_a_built_in():
    """Trials, attacks and measures recorded before a plugin was registered are found under the same keys."""

    def keys():
        return [make(spec) for make, spec in zip((config.trial_key, config.attack_key, config.measure_key), SPECS, strict=True)]

    texts = [
        json.dumps([kind, spec.model_dump(mode="json"), dict(versions)], **COMPACT)
        for kind, spec, versions in zip(KINDS, SPECS, VERSIONS, strict=True)
    ]
    pinned = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    assert keys() == pinned
    for kind in PLUGINS:
        registered(kind)
    assert keys() == pinned


KINDS = ("trial", "attack", "measure")
SPECS = (config.TrialConfig(), config.PGD(eps=0.1, step=0.1, iterations=3), config.Sensitivity(attack=config.FGSM(eps=0.1)))
TRAINED = ("data set 'cifar10'", "model 'resnet-18'", "module 'none'", "objective 'at'", "training attack 'pgd'")
VERSIONS = (
    dict.fromkeys(("training", *TRAINED), 1) | dict.fromkeys(("model 'resnet-18'", "training attack 'pgd'"), 2),
    {"evaluation": 2, "attack 'pgd'": 1},
    {"measurement": 1, "measure 'sensitivity'": 1, "attack 'fgsm'": 1},
)
COMPACT = {"sort_keys": True, "separators": (",", ":")}


SOURCE = '''
"""A plugin."""
from typing import Literal
import torch
from torch import nn
from trainables.plugins import InsertedModule, Insertion, Silent, module
import helper_of_plugin_under_test

FACTOR = 0.5

def helper(z):
    return z * FACTOR

def unused(z):
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
    """Return the key of a trial whose module comes from SOURCE with ``old`` replaced by ``new``."""
    monkeypatch.syspath_prepend(tmp_path)
    restore = registry.restorable()

    def of(old: str = "", new: str = "", imported: str = "DEPTH = 1\n", *, source: str = SOURCE) -> str:
        assert old in source
        restore()
        reopen()
        (tmp_path / "helper_of_plugin_under_test.py").write_text(imported)
        sys.modules.pop("helper_of_plugin_under_test", None)
        file = tmp_path / "plugin_under_test.py"
        file.write_text(source.replace(old, new, 1) if old else source)
        importlib.invalidate_caches()
        run("plugin_under_test", file)
        return config.trial_key(tiny({"module": {"name": "fade"}}))

    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield of
    sys.dont_write_bytecode = before
    for name in ("helper_of_plugin_under_test", "plugin_under_test"):
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
        ('"""A plugin."""', "# no docstring"),
        ("return z * FACTOR", "return (z\n        * FACTOR)"),
        ("    return z\n", "    return -z\n"),  # not used by the module
        ("import torch\n", "import torch\nimport json\n"),
        ("Silent, module", "Silent, module, attack"),
    ],
)
def test_comments_and_layout_of_a_plugin_change_no_key(key, old, new):
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
def test_editing_a_plugin_changes_its_key(key, old, new):
    assert key(old, new) != key()


def test_code_imported_from_the_same_folder_is_part_of_the_key(key):
    uses = ("return z * FACTOR", "return z * helper_of_plugin_under_test.DEPTH")
    assert key(*uses, "DEPTH = 1\n") == key(*uses, "DEPTH = 1  # deep\n") != key(*uses, "DEPTH = 2\n")
    assert key(imported="DEPTH = 1\n") == key(imported="DEPTH = 2\n")


def test_editing_an_attack_changes_its_key_and_no_trials():
    attack(Blur)(blur)
    trial, one = config.trial_key(tiny({})), config.attack_key(Blur(eps=0.1))
    registry.ATTACK.add(registry.renumbered(registry.ATTACK.entries["blur"], "another"))
    assert config.attack_key(Blur(eps=0.1)) != one
    assert config.attack_key(config.Transfer(source="0" * 16, attack=Blur(eps=0.1))) != one
    assert config.trial_key(tiny({})) == trial


class OtherFade(Silent):
    name: Literal["fade"] = "fade"
    positions: tuple[str, ...] = ("P1",)


def test_a_name_that_another_file_registered_is_refused(key):
    key()
    with pytest.raises(BadPlugin, match=r"^module 'fade': the name is taken by .*plugin_under_test\.py$"):
        module(OtherFade)(DimModule)
