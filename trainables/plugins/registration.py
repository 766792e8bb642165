"""The decorators that register plugins.

A plugin is a specification, whose ``name`` is a single word that nothing else of its kind has, and what does the work,
decorated with that specification::

    class Dim(Silent):
        name: Literal["dim"] = "dim"
        positions: tuple[str, ...] = ("P1",)
        by: float = 0.5

    @module(Dim)
    class DimModule(InsertedModule):
        ...

From there on it is used like a built-in: ``--set module.name=dim --set module.by=0.9``. The file is a study file given by
``--study-file``, or a module of a package that the entry point group ``advsweep.plugins`` names. A package whose specifications
shall be known without importing torch names its implementations instead, as built-ins do; see
:func:`trainables.config.entrance.lazy.plugin`.

Its code goes into the keys of all that it is in, as far as :func:`trainables.config.terms.fingerprint.fingerprint` sees it;
``version`` of a decorator is to be raised by hand where something changes that it does not see. Every decorator raises
:class:`~trainables.config.terms.registry.BadPlugin` for a name that is taken and for what is not of its kind.
"""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from trainables import config
from trainables.attacks import Batch, Case
from trainables.config import Architecture, DatasetInfo
from trainables.config.attacks.base import AttackSpec
from trainables.config.entrance.docstrings import summary
from trainables.config.entrance.lazy import checked_name, checked_word, enter
from trainables.config.measure import MeasureSpec
from trainables.config.module import Predicting, Silent
from trainables.config.objective import Trained
from trainables.config.terms.fingerprint import fingerprint
from trainables.config.terms.registry import (
    ATTACK,
    DATA,
    MEASURE,
    MODEL,
    MODULE,
    OBJECTIVE,
    TRAINING_ATTACK,
    BadPlugin,
    Entry,
    Kind,
    Origin,
)
from trainables.config.training_attack import Bounded
from trainables.data import DataSource, Examples, load_checked
from trainables.measures import Subject
from trainables.models import Network
from trainables.modules import InsertedModule
from trainables.objectives import Learner
from trainables.plugins.promises import check_examples, named

T = TypeVar("T")
Decorator = Callable[[T], T]


def module(spec: type[Silent | Predicting], *, version: int = 0) -> Decorator[Any]:
    """Register a class of :class:`InsertedModule`; ``spec`` has ``positions``, and ``beta`` if it predicts."""
    name = checked_name(MODULE, spec)

    def register(made: type[InsertedModule]) -> type[InsertedModule]:
        _demand(MODULE, name, _is_class(made, InsertedModule), "a class of InsertedModule", made)
        _register(MODULE, name, spec, made, version)
        return made

    return register


def objective(spec: type[Trained], *, version: int = 0) -> Decorator[Any]:
    """Register ``(spec, model, x, x_adv, y, weights) -> Loss``, as :mod:`trainables.objectives` says.

    Or a class of :class:`Learner`, for what has weights or optimisers of its own.
    """
    name = checked_name(OBJECTIVE, spec)

    def register(made: Any) -> Any:
        right = _is_class(made, Learner) or _is_function(made)
        _demand(OBJECTIVE, name, right, "a function, or a class of Learner", made)
        _register(OBJECTIVE, name, spec, made, version)
        return made

    return register


def training_attack(spec: type[Bounded], *, version: int = 0) -> Decorator[Any]:
    """Register ``(spec, batch) -> images or Adversarial``; the network is frozen meanwhile, in evaluation mode."""
    name = checked_name(TRAINING_ATTACK, spec)

    def register(made: Callable[[Any, Batch], Any]) -> Any:
        _demand(TRAINING_ATTACK, name, _is_function(made), "a function", made)
        _register(TRAINING_ATTACK, name, spec, made, version)
        return made

    return register


def attack(spec: type[AttackSpec], *, version: int = 0) -> Decorator[Any]:
    """Register ``(spec, case) -> images``, an evaluation's attack; the network is frozen meanwhile.

    ``spec`` says what the attack ``sees`` (:class:`Sees`) and whether it ``iterates``. The attack differentiates ``case.model``
    and maximises ``case.objective(term)``, so that ``beta_atk`` and ``view`` hold, draws from ``case.generator`` alone, and
    stays in [0, 1] and within ``spec.eps``.
    """
    name = checked_name(ATTACK, spec)

    def register(made: Callable[[Any, Case], Any]) -> Any:
        _demand(ATTACK, name, _is_function(made), "a function", made)
        _register(ATTACK, name, spec, made, version)
        return made

    return register


def measure(spec: type[MeasureSpec], *, version: int = 0) -> Decorator[Any]:
    """Register ``(spec, subject) -> arrays``: named numpy arrays of what a trained network does on the test set."""
    name = checked_name(MEASURE, spec)

    def register(made: Callable[[Any, Subject], Any]) -> Any:
        _demand(MEASURE, name, _is_function(made), "a function", made)
        _register(MEASURE, name, spec, made, version)
        return made

    return register


def model(name: str, blocks: tuple[int, ...], *, version: int = 0) -> Decorator[Any]:
    """Register ``(config.Model, DatasetInfo) -> Network``: a class of :class:`Network`, or a function that builds one.

    ``blocks``: positions in each stage: (1, 2) are block1.1, block2.1 and block2.2, in the order of the forward pass, which
    visits each; ``channels`` has them all.
    """
    checked_word(MODEL, name)
    if name in config.Model.model_fields:
        raise BadPlugin(f"model {name!r}: is the name of a field of models; choose another")
    if not blocks or not all(isinstance(n, int) and n > 0 for n in blocks):
        raise BadPlugin(f"model {name!r}: blocks = {blocks!r}: must be the numbers of positions in each stage, such as (2, 2)")

    def register(made: Any) -> Any:
        is_network = _is_class(made, Network) or _is_function(made)
        _demand(MODEL, name, is_network, "a class of Network, or a function", made)
        _register(MODEL, name, Architecture(tuple(blocks)), made, version)
        return made

    return register


def data(name: str, info: DatasetInfo, *, files: Callable[[str, str], bool] | None = None, version: int = 0) -> Decorator[Any]:
    """Register ``(name, data_dir, download) -> (train, test)``: :class:`Examples` of the shape ``info``, uint8, on the CPU.

    ``files``: ``(name, data_dir) -> bool``, whether what it reads is there, which is asked on every node before a sweep starts;
    the loader raises :class:`trainables.data.DataNotFound` where it is not.
    """
    checked_word(DATA, name)

    def register(made: Callable[[str, str, bool], tuple[Examples, Examples]]) -> Any:
        _demand(DATA, name, _is_function(made), "a function", made)

        def loader(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
            train, test = made(name, data_dir, download)
            with named(f"data set {name!r}"):
                check_examples("training", train, info, info.train)
                check_examples("test", test, info, info.test)
            return train, test

        _register(DATA, name, info, made, version, DataSource(loader, files))
        load_checked.cache_clear()
        return made

    return register


def _demand(kind: Kind, name: str, right: bool, wanted: str, made: Any) -> None:
    if not right:
        is_what = f"the class {made.__name__}" if isinstance(made, type) else f"a {type(made).__name__}"
        raise BadPlugin(f"{kind.title} {name!r}: must be {wanted}, and is {is_what}")


def _is_class(made: Any, base: type) -> bool:
    return isinstance(made, type) and issubclass(made, base)


def _is_function(made: Any) -> bool:
    return callable(made) and hasattr(made, "__qualname__") and not isinstance(made, type)


def _register(kind: Kind, name: str, info: Any, made: Any, version: int, implementation: Any = None) -> None:
    """Enter what was decorated, or the ``implementation`` that stands for it."""
    try:
        code = fingerprint(made, *([info] if isinstance(info, type) else []), version=version)
        origin = Origin(str(sys.modules[made.__module__].__file__), made.__module__)
    except (OSError, TypeError, KeyError, AttributeError) as error:
        raise BadPlugin(f"{kind.title} {name!r}: its code must be in a file") from error
    enter(kind, Entry(kind.title, name, info, implementation or made, code, origin, summary(made)))
