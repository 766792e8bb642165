"""Studies as TOML files: factors, columns, fixed settings and baselines. Other features of studies need a Python file."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.authoring.attack_text import column, quantity
from orchestrator.errors import BadInput
from orchestrator.planning.settings import check_fields
from search_spaces.column import Column
from search_spaces.factor import Factor, Level, choice, label
from search_spaces.profiles import ATTACKS, NATURAL, profiles
from search_spaces.study import Arm, Profile, Study

SomeTable = TypeVar("SomeTable", bound="_TomlTable")


def read(text: str) -> Study:
    """Read a study from the text of a TOML file.

    Raises:
        BadInput: the text is no TOML, or a key or value is not allowed; the message names the key.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"no TOML: {error}") from error
    written = _read(_Study, tree)
    factors = tuple(_factor(factor, f"factors.{place}") for place, factor in enumerate(written.factors))
    columns, profiles = _columns(written.columns), written.profiles.made(written.seeds)
    try:
        return Study(
            name=written.name,
            aliases=tuple(written.aliases),
            reference=written.reference,
            title=written.title,
            factors=factors,
            columns=columns,
            profiles=profiles,
            fixed=written.fixed,
            baselines=tuple(Arm(tuple(row.labels), row.settings) for row in written.baselines),
            checkpoint=written.checkpoint,
        )
    except ValueError as error:
        raise BadInput(str(error)) from error


# --- values -------------------------------------------------------------------------------------------------------------


def _value(name: str, value: Any) -> Any:
    """Convert a value for settings: a text may be a fraction, a multiple of eps, or ``null``, which TOML lacks."""
    match value:
        case "null":
            return None
        case str():
            found = quantity(value)
            return value if found is None else found
        case list():
            return tuple(_value(name, inner) for inner in value)
        case bool() | int() | float():
            return value
        case _:
            raise ValueError(f"{name} = {value}: must be a number, a text, true, false or a list of these")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested tables into dotted fields: TOML reads ``module.name`` as ``name`` in the table ``module``."""
    fields: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            fields.update(_flat(value, f"{prefix}{name}."))
        else:
            fields[f"{prefix}{name}"] = _value(f"{prefix}{name}", value)
    return fields


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    try:
        check_fields(fields)
    except BadInput as error:
        raise ValueError(str(error)) from error
    return fields


def _known_field(name: str) -> str:
    _known({name: None})
    return name


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError("must be a number, a text, true or false")
    return value


def _number(value: Any) -> Any:
    """Convert a fraction such as ``8/255`` to a number; leave other values alone."""
    found = quantity(value) if isinstance(value, str) else None
    return found if isinstance(found, float) else value


def _some(fields: dict[str, Any]) -> dict[str, Any]:
    if not fields:
        raise ValueError("must set at least one field, such as module.beta")
    return fields


_Fields = Annotated[dict[str, Any], AfterValidator(_flat), AfterValidator(_known)]
_Settings = Annotated[_Fields, AfterValidator(_some)]
_FieldName = Annotated[str, AfterValidator(_known_field)]
_Scalar = Annotated[Any, BeforeValidator(_scalar)]
_Text = Annotated[str, Field(min_length=1)]


# --- the keys -----------------------------------------------------------------------------------------------------------


class _TomlTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Profiles(_TomlTable):
    """The table ``profiles``: arguments of :func:`search_spaces.profiles.profiles`."""

    epochs: Annotated[int, Field(ge=1)]
    eps: Annotated[float, BeforeValidator(_number), Field(gt=0, le=1)] = 8 / 255
    free: list[_FieldName] = []
    demo: _Fields = {}

    def made(self, seeds: int | None) -> Mapping[str, Profile]:
        made = profiles(self.epochs, eps=self.eps, free=self.free, demo=self.demo)
        return {name: replace(profile, seeds=seeds or profile.seeds) for name, profile in made.items()}


class _Search(_TomlTable):
    """The table ``search``: the range of a factor of one field."""

    low: int | float
    high: int | float
    log: bool = False


class _OneField(_TomlTable):
    """A table of ``factors`` with one field, whose levels are values."""

    name: _Text
    symbol: _Text
    field: _FieldName
    levels: Annotated[list[_Scalar], Field(min_length=1)]
    default: _Scalar
    search: _Search | None = None


class _Level(_TomlTable):
    label: _Text
    settings: _Settings


class _Bundles(_TomlTable):
    """A table of ``factors`` whose levels set several fields."""

    name: _Text
    symbol: _Text
    levels: Annotated[list[_Level], Field(min_length=1)]
    default: str


class _Baseline(_TomlTable):
    labels: list[str]
    settings: _Settings


class _Study(_TomlTable):
    name: str
    title: _Text
    reference: str = "own study"
    aliases: list[str] = []
    columns: Annotated[list[str], Field(min_length=1)]
    checkpoint: Literal["best", "last", "both"] = "last"
    seeds: Annotated[int, Field(ge=1)] | None = None
    profiles: _Profiles
    fixed: _Fields = {}
    factors: list[dict[str, Any]] = []
    baselines: list[_Baseline] = []


#: The tables inside others, by their keys.
_WITHIN: Mapping[str, type[_TomlTable]] = {"profiles": _Profiles, "search": _Search, "levels": _Level, "baselines": _Baseline}


# --- reading ------------------------------------------------------------------------------------------------------------


def _read(kind: type[SomeTable], tree: Mapping[str, Any], place: str = "") -> SomeTable:
    """Validate a table of the file; ``place``: its key, for errors."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        # An unknown key is often the misspelling of a missing one, so it is reported first.
        first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
        raise BadInput(_explain(kind, first, place)) from error


def _explain(kind: type[_TomlTable], error: ErrorDetails, place: str) -> str:
    """Describe an error in one line: key, value, and what is allowed."""
    *outer, _ = location = error["loc"]
    key = ".".join(map(str, [*([place] if place else []), *location]))
    value = repr(error["input"])
    value = value if len(value) <= 60 else f"{value[:57]}..."
    match error["type"]:
        case "extra_forbidden":
            parts = [_WITHIN[name] for name in outer if isinstance(name, str)]
            return f"{key}: there is no such key; allowed: {', '.join((parts[-1] if parts else kind).model_fields)}"
        case "missing":
            return f"{key}: is missing"
        case "value_error":
            return f"{key}: {error['ctx']['error']}"
        case "literal_error":
            return f"{key} = {value}: allowed: {error['ctx']['expected']}"
        case "list_type":
            return f"{key} = {value}: must be a list"
        case "model_type" | "dict_type":
            return f"{key} = {value}: must be a table"
        case "too_short" | "string_too_short":
            return f"{key} = {value}: must not be empty"
        case _:
            return f"{key} = {value}: {error['msg'].replace('Input should', 'must')}"


def _factor(tree: Mapping[str, Any], place: str) -> Factor:
    try:
        if "field" not in tree:
            bundles = _read(_Bundles, tree, place)
            levels = tuple(Level(level.label, level.settings) for level in bundles.levels)
            return choice(bundles.name, bundles.symbol, levels, bundles.default)
        one = _read(_OneField, tree, place)
        levels = tuple(Level(label(one.symbol, value), {one.field: _value(one.field, value)}) for value in one.levels)
        made = choice(one.name, one.symbol, levels, label(one.symbol, one.default))
        return made if one.search is None else replace(made, distribution=_range(one.search, one.levels))
    except ValueError as error:
        raise BadInput(f"{place}: {error}") from error


def _range(search: _Search, levels: list[Any]) -> BaseDistribution:
    """Make the range that a search samples: of integers where the levels are integers."""
    if not all(type(level) in (int, float) for level in levels):
        raise ValueError(f"search: is for levels that are numbers, and not for {levels}")
    if all(isinstance(number, int) for number in (*levels, search.low, search.high)):
        return IntDistribution(int(search.low), int(search.high), log=search.log)
    return FloatDistribution(search.low, search.high, log=search.log)


def _columns(texts: list[str]) -> tuple[Column, ...]:
    """Make columns of the papers' names, or of attacks in the syntax of ``--attack``."""
    for place, text in enumerate(texts):
        if text in texts[:place]:
            raise BadInput(f"columns.{place} = {text!r}: is there twice")
    return tuple(_column(text, f"columns.{place}") for place, text in enumerate(texts))


def _column(text: str, key: str) -> Column:
    if text == NATURAL.label:
        return NATURAL
    if text in ATTACKS:
        return Column(text, ATTACKS[text], beta_atk=None)
    try:
        return column(text)
    except BadInput as error:
        names = ", ".join([NATURAL.label, *ATTACKS])
        raise BadInput(f"{key}: {str(error).removeprefix('--attack ')}; or one of {names}") from error
