"""List what studies can be made of: built-ins and plugins by kind, and the fields of trials."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from orchestrator.api.terms import Files, as_paths
from orchestrator.authoring.study_files import load as load_studies
from orchestrator.errors import BadInput, suggest
from orchestrator.planning.settings import every_field, meant
from trainables.config import Data, DatasetInfo, Model
from trainables.config.entrance.description import Field, Trait, fields_of, traits_of
from trainables.config.entrance.docstrings import summary, trait_meanings
from trainables.config.entrance.dotted import trial_fields
from trainables.config.terms.registry import ATTACK, DATA, MEASURE, MODEL, MODULE, OBJECTIVE, TRAINING_ATTACK, Entry, Kind

#: What can be listed, and what each is.
LISTS: Mapping[str, str] = {
    "modules": "what is inserted in the network",
    "objectives": "what the weights minimise",
    "attacks": "what the inputs maximise in an evaluation",
    "training-attacks": "what the inputs maximise while the weights are trained",
    "models": "networks",
    "datasets": "data sets",
    "measures": "what is measured of a trained network besides its accuracy",
    "fields": "what --set takes",
}

_KINDS: Mapping[str, Kind] = {
    "modules": MODULE,
    "objectives": OBJECTIVE,
    "attacks": ATTACK,
    "training-attacks": TRAINING_ATTACK,
    "models": MODEL,
    "datasets": DATA,
    "measures": MEASURE,
}


@dataclass(frozen=True)
class Listed:
    """A built-in or a plugin.

    Attributes:
        name: by which it is chosen.
        meaning: what it is, in one line; empty where a plugin does not say it.
        fields: what can be set.
        traits: what it says of itself.
        plugin: the file that a plugin is from; None for a built-in.
    """

    name: str
    meaning: str
    fields: tuple[Field, ...]
    traits: tuple[Trait, ...]
    plugin: str | None


def listing(what: str, name: str | None = None, *, study_files: Files = ()) -> tuple[Listed, ...]:
    """List the built-ins and plugins of a kind, those of installed packages among them.

    Args:
        what: ``modules``, ``objectives``, ``attacks``, ``training-attacks``, ``models``, ``datasets`` or ``measures``.
        name: a single one of them; None for all.
        study_files: files whose plugins are listed too.

    Raises:
        BadInput: there is no such kind or name; or a file cannot be read.

    >>> import advsweep
    >>> [each.name for each in advsweep.listing("objectives")][:3]
    ['standard', 'at', 'trades']
    >>> [apgd] = advsweep.listing("attacks", "apgd")
    >>> [(field.name, field.type, field.default) for field in apgd.fields if field.name == "loss"]
    [('loss', 'ce | dlr | targeted-dlr | margin', 'ce')]
    >>> [(trait.value, trait.otherwise) for trait in apgd.traits if trait.name == "least_classes"]
    [(2, {'loss=dlr': 3, 'loss=targeted-dlr': 4})]
    """
    load_studies(as_paths(study_files))
    if what not in _KINDS:
        raise BadInput(f"list {what!r}: there is no such list; {suggest(what, LISTS)}")
    entries = _KINDS[what].entries
    if name is not None and name not in entries:
        raise BadInput(f"list {what} {name!r}: there is no such name; {suggest(name, entries)}")
    return tuple(_listed(entry) for entry in entries.values() if name in {None, entry.name})


def fields(name: str | None = None, *, study_files: Files = ()) -> tuple[Field, ...]:
    """List the fields of trials by the dotted names that settings have.

    A name occurs several times where variants have different fields of that name; ``of`` says whose it is.

    Args:
        name: a single one, or one that others are below, such as ``training``; None for all.
        study_files: files whose plugins have fields too.

    Raises:
        BadInput: there is no such field; or a file cannot be read.

    >>> import advsweep
    >>> [lr] = advsweep.fields("training.lr")
    >>> lr.type, lr.range, lr.default
    ('number', '> 0', 0.1)
    >>> [(field.default, field.of) for field in advsweep.fields("objective.lam")]
    [(6.0, ('trades',)), (5.0, ('mart',))]
    """
    load_studies(as_paths(study_files))
    found = tuple(each for each in trial_fields() if name is None or each.name == name or each.name.startswith(f"{name}."))
    if not found:
        raise BadInput(f"list fields {name!r}: no trial has such a field; {meant(str(name), every_field())}")
    return found


def _listed(entry: Entry) -> Listed:
    plugin = entry.origin.file if entry.origin else None
    if isinstance(entry.info, type) and issubclass(entry.info, BaseModel):
        meaning = summary(entry.info) or entry.meaning
        return Listed(entry.name, meaning, fields_of(entry.info), traits_of(entry.info), plugin)
    if isinstance(entry.info, DatasetInfo):
        said = trait_meanings(DatasetInfo)
        traits = [Trait(name, value, said[name]) for name, value in entry.info._asdict().items()]
        return Listed(entry.name, entry.meaning, _without(Data, "dataset"), tuple(traits), plugin)
    positions = Trait("positions", Model(name=entry.name).positions(), "where modules can be inserted, in forward order")
    return Listed(entry.name, entry.meaning, _without(Model, "name"), (positions,), plugin)


def _without(spec: type[BaseModel], chosen: str) -> tuple[Field, ...]:
    """List the fields of a specification, without the one that chooses the entry."""
    return tuple(each for each in fields_of(spec) if each.name != chosen)
