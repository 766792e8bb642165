"""The door for parts of one's own: modules, objectives, attacks, models and data sets, beside the house's.

A part is a configuration, whose ``name`` is a single word that nothing else of its kind has, and what does the work, decorated
with that configuration::

    class Dim(Silent):
        name: Literal["dim"] = "dim"
        positions: tuple[str, ...] = ("P1",)
        by: float = 0.5

    @module(Dim)
    class DimModule(InsertedModule):
        ...

From there on it is a part like the house's: ``--set module.name=dim --set module.by=0.9``. The file is a study file
(``--study-file``) or a module of a package that the entry point group ``advsweep.parts`` names.

Its code goes into the keys of all that it is in, as far as :func:`trainables.config.fingerprint.fingerprint` sees it;
``version`` of a decorator is to be raised by hand where something changes that it does not see. Every decorator raises
:class:`~trainables.config.registry.BadPart` for a name that is taken and for what is not of its kind.
"""

import re
import sys
from collections.abc import Callable, Collection
from typing import Any, TypeVar, get_args

import torch

from trainables import config
from trainables.attacks import ATTACKS, TRAINING_ATTACKS, Adversarial, Attacked
from trainables.attacks.run import Case
from trainables.attacks.training.run import Batch
from trainables.config import DatasetInfo, registry
from trainables.config.attacks.base import Differentiated, Expected, Linf, Normed, Scored, Tested
from trainables.config.fingerprint import fingerprint
from trainables.config.module import Predicting, Silent
from trainables.config.objective import Trained
from trainables.config.parsing import reopen
from trainables.config.registry import BadPart, Kind, Part
from trainables.config.spec import Spec
from trainables.config.training_attack import Bounded, Joint
from trainables.data import Examples, load
from trainables.models import MODELS, Network
from trainables.models.network import Trace, initialise
from trainables.modules import MODULES, InsertedModule
from trainables.modules.inserted import Insertion
from trainables.objectives import LEARNERS, OBJECTIVES, Learner, Loss
from trainables.plugins.guard import guarded, guarded_training

__all__ = [
    "Adversarial",
    "Attacked",
    "BadPart",
    "Batch",
    "Bounded",
    "Case",
    "DatasetInfo",
    "Differentiated",
    "Examples",
    "Expected",
    "InsertedModule",
    "Insertion",
    "Joint",
    "Learner",
    "Linf",
    "Loss",
    "Network",
    "Normed",
    "Predicting",
    "Scored",
    "Silent",
    "Tested",
    "Trace",
    "Trained",
    "attack",
    "data",
    "initialise",
    "model",
    "module",
    "objective",
    "training_attack",
]

_WORD = re.compile(r"[a-z][a-z0-9-]*")

T = TypeVar("T")
Decorator = Callable[[T], T]


def module(spec: type[Silent | Predicting], *, version: int = 0) -> Decorator[Any]:
    """Register a class of :class:`InsertedModule`; ``spec`` has ``positions``, and ``beta`` if it predicts."""
    name = _name(registry.MODULE, spec, (Silent, Predicting))
    if "positions" not in spec.model_fields:
        raise BadPart(f"module {name!r}: {spec.__name__} must have the field positions: tuple[str, ...]")

    def register(made: type[InsertedModule]) -> type[InsertedModule]:
        _demand(registry.MODULE, name, _is_class(made, InsertedModule), "a class of InsertedModule", made)
        _register(registry.MODULE, name, spec, made, version, {"none", *MODULES.maps[0]}, classes=made)
        return made

    return register


def objective(spec: type[Trained], *, version: int = 0) -> Decorator[Any]:
    """Register ``(spec, model, x, x_adv, y, weights) -> Loss``, as in :data:`trainables.objectives.OBJECTIVES`.

    Or a class of :class:`Learner`, for what has weights or optimisers of its registry.
    """
    name = _name(registry.OBJECTIVE, spec, (Trained,))

    def register(made: Any) -> Any:
        learns = _is_class(made, Learner)
        _demand(registry.OBJECTIVE, name, learns or _is_function(made), "a function, or a class of Learner", made)
        house = {*OBJECTIVES.maps[0], *LEARNERS.maps[0]}
        _register(registry.OBJECTIVE, name, spec, made, version, house, **{"learners" if learns else "functions": made})
        return made

    return register


def training_attack(spec: type[Bounded], *, version: int = 0) -> Decorator[Any]:
    """Register ``(spec, batch) -> images or Adversarial``; the network is frozen meanwhile, in evaluation mode."""
    name = _name(registry.TRAINING_ATTACK, spec, (Bounded,))

    def register(made: Callable[[Any, Batch], Any]) -> Any:
        _demand(registry.TRAINING_ATTACK, name, _is_function(made), "a function", made)
        house = {*TRAINING_ATTACKS.maps[0]}
        _register(registry.TRAINING_ATTACK, name, spec, made, version, house, functions=guarded_training(made))
        return made

    return register


def attack(spec: type[Tested], *, version: int = 0) -> Decorator[Any]:
    """Register ``(spec, case) -> images``, an evaluation's attack; the network is frozen meanwhile.

    It differentiates ``case.model`` and maximises ``case.objective(term)``, so that ``beta_atk`` and ``view`` hold, draws from
    ``case.generator`` alone, and stays in [0, 1] and within ``spec.eps``.
    """
    name = _name(registry.ATTACK, spec, (Tested,))

    def register(made: Callable[[Any, Case], Any]) -> Any:
        _demand(registry.ATTACK, name, _is_function(made), "a function", made)
        _register(registry.ATTACK, name, spec, made, version, {*ATTACKS.maps[0]}, functions=guarded(made))
        return made

    return register


def model(name: str, blocks: tuple[int, ...], *, version: int = 0) -> Decorator[Any]:
    """Register ``(config.Model, DatasetInfo) -> Network``: a class of :class:`Network`, or a function that builds one.

    ``blocks``: positions in each stage: (1, 2) are block1.1, block2.1 and block2.2, in the order of the forward pass, which
    visits each; ``channels`` has them all.
    """
    _word(registry.MODEL, name)
    if name in config.Model.model_fields:
        raise BadPart(f"model {name!r}: is the name of a field of models; choose another")
    if not blocks or not all(isinstance(n, int) and n > 0 for n in blocks):
        raise BadPart(f"model {name!r}: blocks = {blocks!r}: must be the numbers of positions in each stage, such as (2, 2)")

    def register(made: Any) -> Any:
        is_network = _is_class(made, Network) or _is_function(made)
        _demand(registry.MODEL, name, is_network, "a class of Network, or a function", made)
        _register(registry.MODEL, name, None, made, version, {*MODELS.maps[0]}, builders=made, blocks=tuple(blocks))
        return made

    return register


def data(name: str, info: DatasetInfo, *, files: Callable[[str, str], bool] | None = None, version: int = 0) -> Decorator[Any]:
    """Register ``(name, data_dir, download) -> (train, test)``: :class:`Examples` of the shape ``info``, uint8, on the CPU.

    ``files``: ``(name, data_dir) -> bool``, whether what it reads is there, which is asked on every node before a sweep starts;
    the loader raises :class:`trainables.data.DataNotFound` where it is not.
    """
    _word(registry.DATA, name)

    def register(made: Callable[[str, str, bool], tuple[Examples, Examples]]) -> Any:
        _demand(registry.DATA, name, _is_function(made), "a function", made)

        def loader(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
            train, test = made(name, data_dir, download)
            _check_examples(name, "training", train, info, info.train)
            _check_examples(name, "test", test, info, info.test)
            return train, test

        entries = {"loaders": loader, "shapes": info} | ({"files": files} if files else {})
        _register(registry.DATA, name, None, made, version, {*config.DATASETS.maps[0]}, **entries)
        load.cache_clear()
        return made

    return register


def _check_examples(name: str, which: str, found: Examples, info: DatasetInfo, n: int) -> None:
    shape, expected = tuple(found.images.shape), (n, info.channels, info.size, info.size)
    if shape != expected or found.images.dtype != torch.uint8:
        there = f"{shape} of {found.images.dtype}"
        raise BadPart(f"data set {name!r}: {which} images must be {expected} of torch.uint8, and are {there}")
    labels = found.labels
    if tuple(labels.shape) != (n,) or labels.dtype != torch.int64 or int(labels.min()) < 0 or int(labels.max()) >= info.classes:
        raise BadPart(f"data set {name!r}: {which} labels must be {(n,)} of torch.int64, from 0 to {info.classes - 1}")


def _word(kind: Kind, name: Any) -> None:
    if not isinstance(name, str) or not _WORD.fullmatch(name):
        raise BadPart(f"{kind.title} {name!r}: the name must be of a-z, 0-9 and dashes, and begin with a letter")


def _name(kind: Kind, spec: Any, bases: tuple[type[Spec], ...]) -> str:
    """The name of a configuration, which must be one of its kind."""
    if not (isinstance(spec, type) and issubclass(spec, bases)):
        known = " or ".join(base.__name__ for base in bases)
        raise BadPart(f"{kind.title} {getattr(spec, '__name__', spec)}: its configuration must derive from {known}")
    info = spec.model_fields.get("name")
    names = get_args(info.annotation) if info else ()
    if info is None or len(names) != 1 or info.default != names[0]:
        raise BadPart(f'{kind.title} {spec.__name__}: must have a name of its own: name: Literal["mine"] = "mine"')
    _word(kind, names[0])
    return str(names[0])


def _demand(kind: Kind, name: str, right: bool, wanted: str, made: Any) -> None:
    if not right:
        is_what = f"the class {made.__name__}" if isinstance(made, type) else f"a {type(made).__name__}"
        raise BadPart(f"{kind.title} {name!r}: must be {wanted}, and is {is_what}")


def _is_class(made: Any, base: type) -> bool:
    return isinstance(made, type) and issubclass(made, base)


def _is_function(made: Any) -> bool:
    return callable(made) and hasattr(made, "__qualname__") and not isinstance(made, type)


def _register(
    kind: Kind,
    name: str,
    spec: type[Spec] | None,
    made: Any,
    version: int,
    house: Collection[str],
    **entries: Any,
) -> None:
    """Take the part up: ``entries`` into the tables of its kind, and ``spec`` into its union."""
    if name in house:
        raise BadPart(f"{kind.title} {name!r}: the name is one of the house's; choose another")
    try:
        code = fingerprint(made, *([spec] if spec else []), version=version)
        file = str(sys.modules[made.__module__].__file__)
    except (OSError, TypeError, KeyError, AttributeError) as error:
        raise BadPart(f"{kind.title} {name!r}: its code must be in a file") from error
    part = Part(kind.title, name, spec, code, file, made.__module__)
    before = kind.parts.get(name)
    # A file that was edited is read again as another module: what it says now holds.
    if before and before.module == part.module and before.fingerprint != part.fingerprint:
        raise BadPart(f"{part}: is registered twice, with different contents")
    if before and before.module != part.module and before.file != part.file:
        raise BadPart(f"{part}: the name is taken by {before.file}")
    restore = registry.settled()
    kind.parts[name] = part
    for table in kind.tables:
        kind.table(table).pop(name, None)
    for table, entry in entries.items():
        kind.table(table)[name] = entry
    try:
        reopen()
    except Exception:
        restore()
        reopen()
        raise
