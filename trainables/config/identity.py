"""Keys of trials, evaluations and measurements, made from their contents; and names of random streams."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from trainables.config.attacks.base import AttackSpec, Differentiated
from trainables.config.canonical import canonical_attack
from trainables.config.measure import Activations, MeasureSpec
from trainables.config.terms.registry import KINDS, Version, used_plugins, versions
from trainables.config.terms.spec import Spec
from trainables.config.training import MultiStep
from trainables.config.trial import TrialConfig

#: Versions of the code that every training, evaluation or measurement runs. Raised by hand, like the ``numerics`` of a
#: built-in, when the same configuration would give other numbers.
TRAINING, EVALUATION, MEASUREMENT = 1, 2, 1

_TEXT = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class TrialKeys(NamedTuple):
    """The keys of one training.

    ``key``: its identity, as :func:`trial_key` says. ``older``: its keys under older versions, as :func:`older_keys` says.
    ``family``: a key shared by the trainings that are prefixes of one another; None where a training has no prefixes.
    """

    key: str
    older: Mapping[str, tuple[str, ...]]
    family: str | None


def canonical_measure(measure: MeasureSpec, trial: TrialConfig) -> MeasureSpec | None:
    """Return ``measure`` as it acts on the network of ``trial``: the form that is hashed.

    Its attacks become canonical, and a paper's name of a position becomes the network's name.

    Returns:
        the canonical measure, or None where an attack aims at a module that the network does not have.

    Raises:
        ValueError: a position that the network does not have or that is several, a class that the data set does not have, or
            an attack that needs more classes than it has.
    """
    update: dict[str, object] = {}
    for field in {"attack", "reference"} & type(measure).model_fields.keys():
        getattr(measure, field).check_inner(field, "measures are of the whole test set")
        getattr(measure, field).check_classes(field, trial.data)
        update[field] = canonical_attack(getattr(measure, field).on(trial.data.info.classes), trial.module)
    if None in update.values():
        return None
    if isinstance(measure, Activations):
        places, classes = trial.model.resolve(measure.position), trial.data.info.classes
        if len(places) > 1:
            raise ValueError(f"position = {measure.position!r}: must be a single block; it is {', '.join(places)}")
        if measure.label is not None and measure.label >= classes:
            raise ValueError(f"label = {measure.label}: must be less than {classes}, the classes of {trial.data.dataset}")
        masked = measure.masked and not trial.module.everywhere and places[0] in trial.module.positions
        update |= {"position": places[0], "masked": masked}
    return measure.model_copy(update=update)


def training_versions(config: TrialConfig) -> dict[str, Version]:
    """Return the versions of everything that trains a trial: the training loop, data, model, module, objective and attack.

    The attack that selects the best epoch is left out: it changes which epoch is best, but no weight.
    """
    parts = (config.data, config.model, config.module, config.objective, config.attack)
    return {"training": TRAINING, **versions(parts)}


def attack_versions(attack: AttackSpec) -> dict[str, Version]:
    """Return the versions of everything that an evaluation with this attack runs."""
    return {"evaluation": EVALUATION, **versions(attack)}


def present_versions() -> dict[str, Version]:
    """Return the versions of everything registered in this process, and of training, evaluation and measurement."""
    loops = {"training": TRAINING, "evaluation": EVALUATION, "measurement": MEASUREMENT}
    return loops | {str(entry): entry.version for kind in KINDS for entry in kind.entries.values()}


def trial_key(config: TrialConfig, numerics: Mapping[str, Version] | None = None) -> str:
    """Return the identity of a training: 16 hex digits over the configuration and the versions of everything that trains it.

    A plugin's version is the fingerprint of its code (:func:`~trainables.config.terms.fingerprint.fingerprint`), so editing a
    plugin changes the keys of the trials that use it. ``numerics``: versions to use in place of the current ones.
    """
    return _key("trial", config.model_dump(mode="json"), numerics or training_versions(config))


def trial_keys(config: TrialConfig, seeds: Iterable[int]) -> list[TrialKeys]:
    """Return the keys of a configuration with each of these seeds; what they share is looked up once."""
    now, family = training_versions(config), _family(config)
    older, fields = list(_older(now)), config.model_dump(mode="json")
    shared = family and family.model_dump(mode="json")
    return [
        TrialKeys(
            _key("trial", {**fields, "seed": seed}, now),
            {_key("trial", {**fields, "seed": seed}, versions): changed for versions, changed in older},
            _key("trial", {**shared, "seed": seed}, now) if shared else None,
        )
        for seed in seeds
    ]


def attack_key(attack: AttackSpec, numerics: Mapping[str, Version] | None = None) -> str:
    """Return the identity of an attack in its canonical form. ``numerics``: versions to use in place of the current ones."""
    return _key("attack", attack.model_dump(mode="json"), numerics or attack_versions(attack))


def evaluation_key(trial: str, checkpoint: str, attack: AttackSpec | str, complete: bool = False) -> str:
    """Return the identity of an evaluation: trial key, ``best`` or ``last``, canonical attack, and whether it is complete.

    ``attack``: the attack, or its key.
    """
    key = attack if isinstance(attack, str) else attack_key(attack)
    # Written without the encoder, which would take most of the time of a large plan: keys and checkpoints need no escapes.
    return _hashed(f'["evaluation","{trial}","{checkpoint}","{key}",{"true" if complete else "false"}]')


def measure_key(measure: MeasureSpec) -> str:
    """Return the identity of a measure in its canonical form."""
    return _key("measure", measure.model_dump(mode="json"), {"measurement": MEASUREMENT, **versions(measure)})


def measurement_key(trial: str, checkpoint: str, measure: MeasureSpec | str) -> str:
    """Return the identity of a measurement: trial key, ``best`` or ``last``, and canonical measure, or the measure's key."""
    return _key("measurement", trial, checkpoint, measure if isinstance(measure, str) else measure_key(measure))


def older_keys(spec: TrialConfig | AttackSpec) -> dict[str, tuple[str, ...]]:
    """Return the keys that a trial or an attack had under older versions of built-ins, the newest first.

    Returns:
        by key, the names of what had an older version, such as ``objective 'afd'``.
    """
    if isinstance(spec, TrialConfig):
        return {trial_key(spec, old): changed for old, changed in _older(training_versions(spec))}
    return {attack_key(spec, old): changed for old, changed in _older(attack_versions(spec))}


def _older(now: Mapping[str, Version]) -> Iterator[tuple[dict[str, Version], tuple[str, ...]]]:
    """Yield every combination of versions in which at least one is older, and the names of the older ones."""
    ranges: list[Sequence[Version]] = [
        range(version, 0, -1) if isinstance(version, int) else [version] for version in now.values()
    ]
    for combination in product(*ranges):
        old = dict(zip(now, combination, strict=True))
        if changed := tuple(name for name, version in old.items() if version != now[name]):
            yield old, changed


def _family(config: TrialConfig) -> TrialConfig | None:
    """Return what the trainings that are prefixes of one another have in common; None where a training has no prefixes.

    Trainings of one family differ in their number of epochs alone, and no epoch depends on that number, so a longer one passes
    through the weights of a shorter one. This excludes cosine and one-cycle schedules, which are stretched over all epochs;
    patience, which may stop the longer training earlier; and plugins, which may depend on the number of epochs.
    """
    training = config.training
    if not isinstance(training.schedule, MultiStep) or training.patience is not None or used_plugins(config):
        return None
    return config.model_copy(update={"training": training.model_copy(update={"epochs": 0})})


def is_prefix(short: AttackSpec, long: AttackSpec) -> bool:
    """Whether ``short`` is a prefix of ``long``: an evaluation with ``long`` then contains the one with ``short``.

    PGD-20 is a prefix of PGD-100, and one restart is a prefix of five. This does not hold on stochastic networks.
    """
    if short.name != long.name or not short.stepwise or (isinstance(long, Differentiated) and long.view != "plain"):
        return False
    # With several restarts, fewer restarts of as many steps are a prefix; with one, fewer steps are.
    field = "restarts" if getattr(long, "restarts", 1) > 1 else "iterations"
    less = getattr(short, field)
    return bool(less < getattr(long, field)) and short == long.model_copy(update={field: less})


def evaluation_stream(attack: AttackSpec) -> str:
    """Return the name of an evaluation's random stream; see :func:`trainables.rng.generator`.

    It depends on the attack's fields and on no version. Attacks that differ in ``iterations`` or ``restarts`` alone share it,
    so that one is a prefix of the other; so do transfers that differ in ``source`` alone, whose trial key contains versions.
    """
    shared = {field: value for field, value in (("iterations", 1), ("restarts", 1), ("source", "")) if hasattr(attack, field)}
    return f"evaluation/{_stream('attack', attack.model_copy(update=shared))}"


def measurement_stream(measure: MeasureSpec) -> str:
    """Return the name of the random stream of a stochastic network while it is measured."""
    return f"measure/{_stream('measure', measure)}"


def _stream(kind: str, spec: Spec) -> str:
    # The 1 is a former version number; without it every random number would change.
    return _key(kind, 1, spec.model_dump(mode="json"))


def _key(*parts: object) -> str:
    return _hashed(_TEXT.encode(parts))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
