"""Parts of one's own, of every kind: trained and attacked like the house's, and held to the same promises."""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import ClassVar, Literal

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from trainables import config
from trainables.attacks.pgd import pgd
from trainables.config import own
from trainables.config.reading import ATTACK, reopen
from trainables.data.digits import digits
from trainables.extension import (
    Adversarial,
    BadPart,
    Case,
    DatasetInfo,
    Examples,
    Expected,
    InsertedModule,
    Insertion,
    Joint,
    Learner,
    Linf,
    Loss,
    Network,
    Predicting,
    Silent,
    Trace,
    Trained,
    attack,
    data,
    initialise,
    model,
    module,
    objective,
    training_attack,
)
from trainables.modules import MODULES
from trainables.objectives.loss import cross_entropy
from trainables.outputs import heads
from trainables.rehearsal import rehearse
from trainables.trial import Trial

RUNTIME = config.Runtime(device="cpu")
INFO = DatasetInfo(10, 1, 8, 100, 50)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is gone after it."""
    restore = own.settled()
    yield
    restore()
    reopen()


# --- a part of every kind -----------------------------------------------------------------------------------------------


class Dim(Predicting):
    name: Literal["dim"] = "dim"
    positions: tuple[str, ...] = ("P1",)
    views: ClassVar[tuple[str, ...]] = ()
    beta: float = 0.5
    by: float = 0.9


class DimModule(InsertedModule):
    def __init__(self, spec: Dim, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.by = spec.by
        self.fc = nn.Linear(channels, classes)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        return Insertion(self.by * z, self.fc(z.mean((2, 3))))

    @staticmethod
    def head_weights(spec: Dim) -> tuple[float, ...]:
        return (1.0, *[spec.beta] * len(spec.positions))


class Margin(Trained):
    name: Literal["margin"] = "margin"
    weight: float = 1.0


def margin(spec, model, x, x_adv, y, weights):
    outputs = model(x_adv, y)
    return Loss(spec.weight * sum(w * cross_entropy(z, y) for w, z in zip(weights, heads(outputs), strict=True)), outputs)


class Twice(Trained):
    name: Literal["twice"] = "twice"
    attacked: ClassVar[bool | None] = None


class TwiceLearner(Learner):
    def loss(self, x, x_adv, y, targets):
        outputs = self.network(x, y)
        return Loss(2 * cross_entropy(outputs.logits, y), outputs)


class Corner(Joint):
    name: Literal["corner"] = "corner"


def corner(spec, batch):
    sign = torch.randint(2, batch.x.shape, generator=batch.generator, device=batch.x.device) * 2 - 1
    return (batch.x + spec.eps * sign).clamp(0, 1)


class Blur(Linf, Expected):
    name: Literal["blur"] = "blur"
    times: int = 1


def blur(spec: Blur, case: Case) -> Tensor:
    softened = F.avg_pool2d(case.x, 3, 1, 1, count_include_pad=False)
    x = case.x + (softened - case.x).clamp(-spec.eps, spec.eps)
    steps = {"eps": spec.eps, "step": spec.eps / 2, "iterations": spec.times, "generator": case.generator}
    found = pgd(case.model, case.x, case.y, objective=case.objective(lambda z, y: cross_entropy(z, y)), **steps)
    return torch.where(case.network(x).logits.argmax(1)[:, None, None, None] != case.y[:, None, None, None], x, found)


class Small(Network):
    def __init__(self, model: config.Model, info: DatasetInfo) -> None:
        super().__init__(model)
        self.one, self.two = nn.Conv2d(info.channels, model.width, 3), nn.Conv2d(model.width, model.width, 3)
        self.channels = {"block1.1": model.width, "block2.1": model.width}
        self.fc = nn.Linear(model.width, info.classes)
        initialise(self)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        z = self.visit("block1.1", F.relu(self.one(x)), y, trace)
        return self.visit("block2.1", F.relu(self.two(z)), y, trace)


def half(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
    train, test = digits(name, data_dir, download)
    return train[torch.arange(INFO.train)], test[torch.arange(INFO.test)]


PARTS = {
    "module": (module(Dim), DimModule, {"module": {"name": "dim", "by": 0.5}}),
    "objective": (objective(Margin), margin, {"objective": {"name": "margin"}}),
    "learner": (objective(Twice), TwiceLearner, {"objective": {"name": "twice"}, "attack": None}),
    "training-attack": (training_attack(Corner), corner, {"attack": {"name": "corner", "eps": 0.1}}),
    "attack": (attack(Blur), blur, {"selection": {"attack": {"name": "blur", "eps": 0.1}}}),
    "model": (
        model("small", (1, 1)),
        Small,
        {"model": {"name": "small", "width": 8}, "module": {"name": "cas", "positions": ["all"]}},
    ),
    "data": (data("half", INFO), half, {"data": {"dataset": "half", "validation": 0.2}}),
}
every_part = pytest.mark.parametrize("kind", PARTS)

TINY = {
    "data": {"dataset": "digits", "examples": 64, "validation": 0.2, "crop": 1, "flip": False},
    "model": {"name": "resnet-10", "width": 4},
    "attack": {"name": "pgd", "eps": 0.1, "step": 0.05, "iterations": 2},
    "training": {"epochs": 2, "batch_size": 16},
    "selection": {"attack": {"name": "fgsm", "eps": 0.1}},
}


def tiny(settings):
    return config.TrialConfig.model_validate_json(json.dumps({**TINY, **settings}))


def registered(kind):
    """The part, registered, and a trial that has it."""
    register, made, settings = PARTS[kind]
    register(made)
    return tiny(settings)


@every_part
def test_it_is_trained_and_attacked_as_the_houses_are(kind):
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


@every_part
def test_it_comes_back_from_the_record_complete_and_without_a_warning(kind, recwarn):
    spec = registered(kind)
    assert config.TrialConfig.model_validate_json(spec.model_dump_json()) == spec
    assert not recwarn.list
    assert list(own.used(spec)) == list(own.every())


@every_part
def test_without_it_nothing_is_known_of_it(kind):
    text = registered(kind).model_dump_json()
    for kinds in own.KINDS:
        kinds.parts.clear()
        for table in kinds.tables.values():
            table.clear()
    reopen()
    with pytest.raises(ValueError, match=r"\b(half|small|dim|margin|twice|corner|blur)\b"):
        config.TrialConfig.model_validate_json(text)


@every_part
def test_a_rehearsal_passes(kind):
    spec = registered(kind)
    rehearse(spec, [spec.selection.attack])


def test_an_attack_of_ones_own_is_an_attack_everywhere():
    attack(Blur)(blur)
    mine = Blur(eps=0.1)
    nested = [
        config.Transfer(source="0" * 16, attack=mine),
        config.Sensitivity(attack=mine),
        config.Perturbations(attack=mine, reference=config.FGSM(eps=0.1)),
    ]
    assert ATTACK.validate_json(nested[0].model_dump_json()) == nested[0]
    assert [type(spec).model_validate_json(spec.model_dump_json()) for spec in nested] == nested
    assert all([*own.used(spec)] == [*own.every()] for spec in nested)
    training_attack(Corner)(corner)
    inner = config.AsTraining(attack=Corner(eps=0.1))
    assert ATTACK.validate_json(inner.model_dump_json()) == inner


def test_the_joint_loss_of_a_module_of_ones_own_is_attacked_too():
    module(Dim)(DimModule)
    spec = tiny({"module": {"name": "dim"}})
    trial = Trial(spec, RUNTIME)
    for beta in ("0", "1", "inf", "inf-1"):
        trial.evaluate(config.PGD(eps=0.1, step=0.05, iterations=2, beta_atk=beta), trial.weights())
    assert config.heads(spec.module) == ["final", "1"]
    assert set(trial.evaluate(config.FGSM(eps=0.1), trial.weights(), complete=True).ranks) == {"final", "1"}


def refused(settings):
    """What is said of a trial that there cannot be."""
    with pytest.raises(ValidationError) as error:
        tiny(settings)
    return str(error.value)


def test_what_is_allowed_names_it():
    assert "'dim'" not in refused({"module": {"name": "dam"}})
    module(Dim)(DimModule)
    data("half", INFO)(half)
    model("small", (1, 1))(Small)
    assert "'none', 'cas', 'cifs', 'fsr', 'kwta', 'sap', 'dim'" in refused({"module": {"name": "dam"}})
    assert "'digits' or 'half'" in refused({"data": {"dataset": "whole"}})
    assert "'lenet' or 'small'" in refused({"model": {"name": "large"}})
    small = {"model": {"name": "small"}}
    places = "allowed: block1, block2, block1.1, block2.1, P1, P2, all"
    assert places in refused({**small, "module": {"name": "cas", "positions": ["P3"]}})
    assert tiny({**small, "module": {"name": "cas", "positions": ["all"]}}).module.positions == ("block1.1", "block2.1")


# --- keys ---------------------------------------------------------------------------------------------------------------


def test_the_keys_of_the_houses_parts_stay_whatever_is_registered():
    """Results that were recorded before there was anything of one's own are found as they were."""

    def keys():
        return [make(spec) for make, spec in zip((config.trial_key, config.attack_key, config.measure_key), SPECS, strict=True)]

    texts = [
        json.dumps([kind, config.NUMERICS, spec.model_dump(mode="json")], **COMPACT)
        for kind, spec in zip(KINDS, SPECS, strict=True)
    ]
    pinned = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    assert keys() == pinned
    for kind in PARTS:
        registered(kind)
    assert keys() == pinned


KINDS = ("trial", "attack", "measure")
SPECS = (config.TrialConfig(), config.PGD(eps=0.1, step=0.1, iterations=3), config.Sensitivity(attack=config.FGSM(eps=0.1)))
COMPACT = {"sort_keys": True, "separators": (",", ":")}


SOURCE = '''
"""A part."""
from typing import Literal
import torch
from torch import nn
from trainables.extension import InsertedModule, Insertion, Silent, module
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
    restore = own.settled()

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
    class Moved(Linf, Expected):
        name: Literal["blur"] = "blur"

    attack(Blur)(blur)
    trial, one = config.trial_key(tiny({})), config.attack_key(Blur(eps=0.1))
    own.ATTACK.parts["blur"] = own.ATTACK.parts["blur"]._replace(fingerprint="another")
    assert config.attack_key(Blur(eps=0.1)) != one
    assert config.attack_key(config.Transfer(source="0" * 16, attack=Blur(eps=0.1))) != one
    assert config.trial_key(tiny({})) == trial


# --- what is refused ----------------------------------------------------------------------------------------------------


class Nameless(Silent):
    positions: tuple[str, ...] = ("P1",)


class Manifold(Silent):
    name: Literal["one", "two"] = "one"
    positions: tuple[str, ...] = ("P1",)


class Loud(Silent):
    name: Literal["Loud"] = "Loud"
    positions: tuple[str, ...] = ("P1",)


class Placeless(Silent):
    name: Literal["placeless"] = "placeless"


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
        (lambda: module(Nameless), 'module Nameless: must have a name of its own: name: Literal["mine"] = "mine"'),
        (lambda: module(Manifold), "module Manifold: must have a name of its own"),
        (lambda: module(Loud), "module 'Loud': the name must be of a-z, 0-9 and dashes, and begin with a letter"),
        (lambda: module(Placeless), "module 'placeless': Placeless must have the field positions: tuple"),
        (lambda: module(DimModule), "module DimModule: its configuration must derive from Silent or Predicting"),
        (lambda: module(Margin), "module Margin: its configuration must derive from Silent or Predicting"),
        (lambda: objective(Dim), "objective Dim: its configuration must derive from Trained"),
        (lambda: training_attack(Blur), "training attack Blur: its configuration must derive from Bounded"),
        (lambda: attack(Corner), "attack Corner: its configuration must derive from Tested"),
        (lambda: module(OtherCAS)(DimModule), "module 'cas': the name is one of the house's; choose another"),
        (lambda: module(OtherNone)(DimModule), "module 'none': the name is one of the house's; choose another"),
        (lambda: model("lenet", (1,))(Small), "model 'lenet': the name is one of the house's; choose another"),
        (lambda: data("digits", INFO)(half), "data set 'digits': the name is one of the house's; choose another"),
        (lambda: model("small", (1, 0)), "model 'small': blocks = (1, 0): must be the numbers of positions in each stage"),
        (lambda: module(Dim)(Small), "module 'dim': must be a class of InsertedModule, and is the class Small"),
        (lambda: module(Dim)(margin), "module 'dim': must be a class of InsertedModule, and is a function"),
        (lambda: objective(Margin)(Small), "objective 'margin': must be a function, or a class of Learner, and is the class"),
        (lambda: attack(Blur)(Small), "attack 'blur': must be a function, and is the class Small"),
        (lambda: attack(Blur)(3), "attack 'blur': must be a function, and is a int"),
        (lambda: (module(Dim)(DimModule), module(OtherDim)(DimModule)), "module 'dim': is registered twice, with different"),
        (
            lambda: attack(Blur)(eval("lambda spec, case: case.x", {"__name__": "nowhere"})),
            "attack 'blur': its code must be in",
        ),
    ],
)
def test_what_cannot_be_registered_says_why(register, message):
    with pytest.raises(BadPart) as error:
        register()
    assert str(error.value).startswith(message)
    assert not own.every() or message.endswith("with different")


def test_registering_the_same_again_changes_nothing():
    module(Dim)(DimModule)
    before = own.every()
    module(Dim)(DimModule)
    assert own.every() == before
    assert MODULES["dim"] is DimModule


class OtherFade(Silent):
    name: Literal["fade"] = "fade"
    positions: tuple[str, ...] = ("P1",)


def test_a_name_that_another_file_has(key):
    key()
    with pytest.raises(BadPart, match=r"^module 'fade': the name is taken by .*part_of_test_extension\.py$"):
        module(OtherFade)(DimModule)


# --- what breaks its promise --------------------------------------------------------------------------------------------


def a_module(**methods):
    return type("BadModule", (DimModule,), {"__module__": __name__, "__qualname__": "DimModule", **methods})


def smaller(self, z, y=None):
    return Insertion(z[:, :-1], self.fc(z.mean((2, 3))))


def silent(self, z, y=None):
    return Insertion(z, None)


def infinite(self, z, y=None):
    return Insertion(z * torch.inf, self.fc(z.mean((2, 3))))


def global_chance(self, z, y=None):
    return Insertion(z * (1 + 0.01 * torch.rand_like(z)), self.fc(z.mean((2, 3))))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (smaller, "module 'dim': RuntimeError: "),
        (silent, "module 'dim': logits of final, 1 must be (4, 10): [(4, 10)]"),
        (infinite, "module 'dim': logits are not finite"),
        (global_chance, "module 'dim': must draw from the generator that is given, and drew from torch's global one"),
    ],
)
def test_a_module_that_breaks_its_promise(forward, message):
    module(Dim)(a_module(forward=forward))
    with pytest.raises(BadPart) as error:
        rehearse(tiny({"module": {"name": "dim"}}), [])
    assert str(error.value).startswith(message)


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
        (broken, "attack 'blur': AttributeError: 'Case' object has no attribute 'nothing'"),
    ],
)
def test_an_attack_that_breaks_its_promise(function, message):
    attack(Blur)(function)
    with pytest.raises(BadPart) as error:
        rehearse(tiny({}), [Blur(eps=0.1)])
    assert str(error.value).startswith(message)


def test_an_attack_that_breaks_it_in_a_trial_fails_there_too():
    attack(Blur)(beyond)
    trial = Trial(tiny({}), RUNTIME)
    with pytest.raises(BadPart, match=r"^attack 'blur': must stay within eps = 0\.1, and went to 0\.2"):
        trial.evaluate(Blur(eps=0.1), trial.weights())


def with_labels(spec, batch):
    return Adversarial(batch.x, F.one_hot(batch.y, 10).float())


def test_labels_of_its_own_must_be_announced():
    training_attack(Corner)(with_labels)
    with pytest.raises(BadPart, match=r"^training attack 'corner': makes labels of its own; its configuration must say"):
        rehearse(tiny({"attack": {"name": "corner", "eps": 0.1}}), [])


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
    with pytest.raises(BadPart) as error:
        rehearse(tiny({"objective": {"name": "margin"}}), [])
    assert str(error.value).startswith(message)


def test_a_model_whose_positions_are_others():
    model("small", (2, 1))(Small)
    with pytest.raises(BadPart, match=r"^model 'small': channels has the positions block1\.1, block2\.1"):
        rehearse(tiny({"model": {"name": "small"}}), [])


def test_a_data_set_of_another_shape():
    data("half", INFO._replace(test=60))(half)
    with pytest.raises(BadPart, match=r"^data set 'half': test images must be \(60, 1, 8, 8\)"):
        Trial(tiny({"data": {"dataset": "half", "validation": 0.2}}), RUNTIME)


def test_objectives_say_whether_they_are_attacked():
    objective(Twice)(TwiceLearner)
    objective(Margin)(margin)
    assert tiny({"objective": {"name": "twice"}, "attack": None}).attack is None
    assert tiny({"objective": {"name": "twice"}}).attack is not None
    with pytest.raises(ValueError, match=r"attack must not be null with objective\.name=margin, which"):
        tiny({"objective": {"name": "margin"}, "attack": None})
