"""Conversion of dotted settings (``module.beta = 2``) to configurations, with errors that name field and value."""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import BadInput, suggest
from search_spaces.settings import Eps, Settings
from trainables.config import Attack, Data, Measure, TrialConfig
from trainables.config.entrance.dotted import dotted_fields
from trainables.config.entrance.parsing import ATTACK, MEASURE
from trainables.config.terms.registry import KINDS, Version

Tree = dict[str, Any]
T = TypeVar("T")


def parse(assignments: Iterable[str]) -> dict[str, Any]:
    """Parse ``FIELD=VALUE`` texts into settings; a value is JSON, or else a text (``module.imgf.name=softmax``).

    Raises:
        BadInput: a text has no ``=``, or a field is given twice.
    """
    settings: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise BadInput(f"--set {text!r}: write FIELD=VALUE, as in --set training.lr=0.05")
        if name in settings:
            raise BadInput(f"--set {name}: given twice ({settings[name]!r} and {value!r})")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def resolve(settings: Settings, eps: float) -> dict[str, Any]:
    """Replace every multiple of eps by a number, in nested settings too."""

    def number(value: Any) -> Any:
        if isinstance(value, Mapping):
            return resolve(value, eps)
        return value.times * eps if isinstance(value, Eps) else value

    return {name: number(value) for name, value in settings.items()}


def configure(layers: Iterable[Mapping[str, Any]], pins: Mapping[str, Any]) -> tuple[TrialConfig, frozenset[str]]:
    """Build the configuration of settings in ``layers``, later ones over earlier ones, and ``pins`` over all.

    A pin whose field the configuration lacks (``module.beta`` of a network without a module) has no effect.

    Returns:
        the configuration, and the names of the pins that hold in it.

    Raises:
        BadInput: a field or value is not allowed.
    """
    while True:
        tree: Tree = json.loads(TrialConfig().model_dump_json())
        for layer in layers:
            for name in _names_first(layer):
                if not _assign(tree, name, layer[name]):
                    raise BadInput(f"{name}: there is no such field here")
        held = {name for name in _names_first(pins) if _assign(tree, name, pins[name])}
        try:
            return TrialConfig.model_validate_json(json.dumps(tree)), frozenset(held)
        except ValidationError as error:
            unknown = [_path(e["loc"], tree) for e in error.errors() if e["type"] == "extra_forbidden"]
            # The pin module.imgf.alpha creates module.imgf; where that is unknown, the pin has no effect.
            idle = {name for name in held for path in unknown if name == path or name.startswith(f"{path}.")}
            if not idle:
                raise BadInput(explain(error, tree)) from error
            pins = {name: value for name, value in pins.items() if name not in idle}


def configure_attack(settings: Mapping[str, Any]) -> Attack:
    """Build the attack of a column from its fields.

    Raises:
        BadInput: a field or value is not allowed.
    """
    attack = _read("attack", ATTACK, settings)
    if attack.split is not None:
        raise BadInput(f"attack {attack.name}: split = {attack.split}: must be null, because tables show the test set")
    return attack


def on_data(attack: Attack, data: Data) -> Attack:
    """Return an attack in the form in which it runs on the data of a trial.

    Raises:
        BadInput: the data have fewer classes than it needs.
    """
    try:
        attack.check_classes("attack", data)
    except ValueError as error:
        raise BadInput(str(error)) from error
    return attack.on(data.info.classes)


def configure_measure(settings: Mapping[str, Any]) -> Measure:
    """Build a measure from its fields.

    Raises:
        BadInput: a field or value is not allowed.
    """
    return _read("measure", MEASURE, settings)


def _read(kind: str, adapter: TypeAdapter[T], settings: Mapping[str, Any]) -> T:
    try:
        return adapter.validate_json(json.dumps(settings))
    except ValidationError as error:
        raise BadInput(f"{kind} {settings.get('name')}: {explain(error, dict(settings))}") from error


def unknown_field(name: str, configs: Iterable[TrialConfig]) -> BadInput:
    """Make the error for a field of ``--set`` that none of these configurations has."""
    fields = {field for config in configs for field in _fields(config.model_dump(mode="json"))}
    return BadInput(f"--set {name}: there is no such field in these trials; {meant(name, fields)}")


def check_fields(names: Iterable[str]) -> None:
    """Check that each of these fields exists in some configuration of a trial.

    Raises:
        BadInput: a field does not exist.
    """
    fields = every_field()
    for name in names:
        if name not in fields:
            raise BadInput(f"{name}: no trial has such a field; {meant(name, fields)}")


def meant(name: str, fields: Collection[str]) -> str:
    """Suggest the dotted field that was meant by one that does not exist, or list those beside it."""
    fields = sorted(fields)
    namesakes = [field for field in fields if field.rpartition(".")[2] == name.rpartition(".")[2]]
    if namesakes:
        return suggest(name, namesakes, likeness=0)
    siblings = [field for field in fields if field.rpartition(".")[0] == name.rpartition(".")[0]]
    return suggest(name, fields, allowed=siblings or fields, likeness=0.7)


def explain(error: ValidationError, tree: Mapping[str, Any]) -> str:
    """Describe the first error of a configuration in one line: field, value, and what is allowed."""
    # An unknown variant causes the errors of its fields, so it is reported first.
    first = min(error.errors(include_url=False), key=lambda e: e["type"] not in {"literal_error", "union_tag_invalid"})
    path, context = _path(first["loc"], tree), first.get("ctx", {})
    match first["type"]:
        case "value_error":
            return f"{path}.{context['error']}".lstrip(".")
        case "missing":
            return f"{path}: must be set too"
        case "union_tag_not_found":
            return f"{path}.name: must be set too"
        case "extra_forbidden":
            return f"{path} = {first['input']!r}: there is no such field{_variant(path, tree)}"
        case "union_tag_invalid":
            return f"{path}.name = {context['tag']!r}: allowed: {context['expected_tags']}".lstrip(".")
        case "literal_error":
            return f"{path} = {first['input']!r}: allowed: {context['expected']}"
        case _:
            return (
                f"{path} = {first['input']!r}: {first['msg'].replace('Input should', 'must').replace('String should', 'must')}"
            )


def _names_first(layer: Mapping[str, Any]) -> list[str]:
    """Sort fields so that a variant (``module.name``) is chosen before its fields are set."""
    return sorted(layer, key=lambda name: (not name.endswith(".name"), name.count(".")))


def _assign(tree: Tree, name: str, value: Any) -> bool:
    """Set one dotted field; choosing another variant resets its fields. Returns False where its parent is null."""
    *parts, last = name.split(".")
    for part in parts[:-1] if last == "name" else parts:
        child = tree.setdefault(part, {})
        if not isinstance(child, dict):
            return False
        tree = child
    if last == "name" and parts:
        if not isinstance(tree.get(parts[-1]), dict) or tree[parts[-1]].get("name") != value:
            tree[parts[-1]] = {"name": value}
    else:
        tree[last] = value
    return True


def _path(location: tuple[int | str, ...], tree: Mapping[str, Any]) -> str:
    """Convert pydantic's location of an error to a dotted field: without the tags of variants, which are no fields."""
    parts: list[str] = []
    node: Any = tree
    tagged: Any = None
    for part in location:
        # Skip one tag only: a variant may have the name of a field.
        if isinstance(node, Mapping) and node.get("name") == part and node is not tagged:
            tagged = node
            continue
        parts.append(str(part))
        node = node.get(part) if isinstance(node, Mapping) else None
    return ".".join(parts)


def _variant(path: str, tree: Mapping[str, Any]) -> str:
    """Name the variant in which ``path`` is looked up, such as `` with module.name=cas``; "" where there is none."""
    node: Any = tree
    *parts, _ = path.split(".")
    for part in parts:
        node = node.get(part) if isinstance(node, Mapping) else None
    return f" with {'.'.join(parts)}.name={node['name']}" if parts and isinstance(node, Mapping) and "name" in node else ""


def _fields(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List every dotted field of a configuration."""
    fields: list[str] = []
    for name, value in tree.items():
        fields.extend(_fields(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [f"{prefix}{name}"])
    return fields


def every_field() -> frozenset[str]:
    """Every dotted field that some trial has, whatever its variants."""
    return _fields_by(tuple(entry.version for kind in KINDS for entry in kind.entries.values()))


@lru_cache(maxsize=1)
def _fields_by(registered: tuple[Version, ...]) -> frozenset[str]:
    """The same, as long as nothing else is registered."""
    return frozenset(name for name, _ in dotted_fields(TrialConfig))
