"""Who is who: keys made of contents, and names of random streams."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from trainables.config.attacks.base import AttackSpec, Differentiated
from trainables.config.canonical import canonical_attack
from trainables.config.measure import Activations, MeasureSpec
from trainables.config.terms.registry import KINDS, Version, used_plugins, versions
from trainables.config.terms.spec import Spec
from trainables.config.training import MultiStep
from trainables.config.trial import TrialConfig

#: Versions of what every training, evaluation and measurement goes through, whatever its parts. Raised by hand, as a part's
#: ``numerics``, when the same configuration would come to other numbers.
TRAINING, EVALUATION, MEASUREMENT = 1, 1, 1


def canonical_measure(measure: MeasureSpec, trial: TrialConfig) -> MeasureSpec | None:
    """``measure`` as it acts on the network of ``trial``: the form that is hashed, so that equal measures are equal.

    Its attacks become canonical, and a paper's name of a position the network's own. None where an attack aims at a module
    that is not there.

    Raises:
        ValueError: a position that the network does not have or that is several, a class that the data set does not have, or
            an attack that needs more classes than it has.
    """
    update: dict[str, object] = {}
    for field in {"attack", "reference"} & type(measure).model_fields.keys():
        getattr(measure, field).check_inner(field, "measures are of the whole test set")
        getattr(measure, field).check_classes(field, trial.data)
        update[field] = canonical_attack(getattr(measure, field), trial.module)
    if None in update.values():
        return None
    if isinstance(measure, Activations):
        places, classes = trial.model.resolve(measure.position), trial.data.info.classes
        if len(places) > 1:
            raise ValueError(f"position = {measure.position!r}: must be a single block; it is {', '.join(places)}")
        if measure.label is not None and measure.label >= classes:
            raise ValueError(f"label = {measure.label}: must be less than {classes}, the classes of {trial.data.dataset}")
        masked = measure.masked and places[0] in trial.module.positions
        update |= {"position": places[0], "masked": masked}
    return measure.model_copy(update=update)


def training_versions(config: TrialConfig) -> dict[str, Version]:
    """Versions of all that trains a trial: the loop, and its parts; without the attack that selects the best epoch.

    A change of that attack may make another epoch the best one, but never another weight.
    """
    parts = (config.data, config.model, config.module, config.objective, config.attack)
    return {"training": TRAINING, **versions(parts)}


def attack_versions(attack: AttackSpec) -> dict[str, Version]:
    """Versions of all that an evaluation with an attack goes through."""
    return {"evaluation": EVALUATION, **versions(attack)}


def present_versions() -> dict[str, Version]:
    """Versions of everything that is registered in this process, and of the loops."""
    loops = {"training": TRAINING, "evaluation": EVALUATION, "measurement": MEASUREMENT}
    return loops | {str(entry): entry.version for kind in KINDS for entry in kind.entries.values()}


def trial_key(config: TrialConfig, numerics: Mapping[str, Version] | None = None) -> str:
    """Identity of a training: 16 hex digits over the whole configuration and the versions of all that trains it.

    Of a plugin, its code counts, as far as :func:`~trainables.config.terms.fingerprint.fingerprint` sees it: what is edited
    there trains anew. So it is with the keys of attacks and measures. ``numerics``: in place of the present versions.
    """
    return _key("trial", config.model_dump(mode="json"), numerics or training_versions(config))


def attack_key(attack: AttackSpec, numerics: Mapping[str, Version] | None = None) -> str:
    """Identity of an attack in its canonical form. ``numerics``: in place of the present versions."""
    return _key("attack", attack.model_dump(mode="json"), numerics or attack_versions(attack))


def evaluation_key(trial: str, checkpoint: str, attack: AttackSpec, complete: bool = False) -> str:
    """Identity of an evaluation: the trial, ``best`` or ``last``, the canonical attack, and whether it goes on to the end."""
    return _key("evaluation", trial, checkpoint, attack_key(attack), complete)


def measure_key(measure: MeasureSpec) -> str:
    """Identity of a measure in its canonical form."""
    return _key("measure", measure.model_dump(mode="json"), {"measurement": MEASUREMENT, **versions(measure)})


def measurement_key(trial: str, checkpoint: str, measure: MeasureSpec) -> str:
    """Identity of a measurement: the trial, ``best`` or ``last``, and the canonical measure."""
    return _key("measurement", trial, checkpoint, measure_key(measure))


def older_keys(spec: TrialConfig | AttackSpec) -> dict[str, tuple[str, ...]]:
    """The keys that a trial or an attack had in older versions of built-ins, the newest first.

    Returns:
        by key, what was older then, such as ``objective 'afd'``.
    """
    if isinstance(spec, TrialConfig):
        return {trial_key(spec, old): changed for old, changed in _older(training_versions(spec))}
    return {attack_key(spec, old): changed for old, changed in _older(attack_versions(spec))}


def _older(now: Mapping[str, Version]) -> Iterator[tuple[dict[str, Version], tuple[str, ...]]]:
    """Every combination of versions of which one at least is older, and which those are."""
    ranges: list[Sequence[Version]] = [
        range(version, 0, -1) if isinstance(version, int) else [version] for version in now.values()
    ]
    for combination in product(*ranges):
        old = dict(zip(now, combination, strict=True))
        if changed := tuple(name for name, version in old.items() if version != now[name]):
            yield old, changed


def prefix_family(config: TrialConfig) -> str | None:
    """What a training has in common with its prefixes, and with those that it is a prefix of; None where there are none.

    Of one family the longer training has, after as many epochs, the weights of the shorter one: they differ in epochs alone,
    and nothing in an epoch depends on how many there will be. A cosine or a cycle is stretched over all of them, patience may
    end the longer one before, and what a plugin looks at is not known.
    """
    training = config.training
    if not isinstance(training.schedule, MultiStep) or training.patience is not None or used_plugins(config):
        return None
    return trial_key(config.model_copy(update={"training": training.model_copy(update={"epochs": 0})}))


def begins(short: AttackSpec, long: AttackSpec) -> bool:
    """Whether ``long`` passes through all of ``short``, so that it finds what that would have found.

    PGD-20 is the beginning of PGD-100, and one restart that of five. Not on a network whose prediction is random.
    """
    if short.name != long.name or not short.stepwise or (isinstance(long, Differentiated) and long.view != "plain"):
        return False
    # With the steps that a restart has, fewer restarts are the beginning; without any, fewer steps.
    field = "restarts" if getattr(long, "restarts", 1) > 1 else "iterations"
    less = getattr(short, field)
    return bool(less < getattr(long, field)) and short == long.model_copy(update={field: less})


def evaluation_stream(attack: AttackSpec) -> str:
    """Name of the random stream that an evaluation draws from; see :func:`trainables.rng.generator`.

    It hangs on the attack's fields and on no version. Attacks that differ in ``iterations`` or ``restarts`` alone share it, so
    that one is the beginning of the other; so do transfers that differ in ``source`` alone, since a trial's key holds versions.
    """
    shared = {field: value for field, value in (("iterations", 1), ("restarts", 1), ("source", "")) if hasattr(attack, field)}
    return f"evaluation/{_stream('attack', attack.model_copy(update=shared))}"


def measurement_stream(measure: MeasureSpec) -> str:
    """Name of the random stream that a network draws from while it is measured."""
    return f"measure/{_stream('measure', measure)}"


def _stream(kind: str, spec: Spec) -> str:
    # The 1 has been there since streams had their names from keys; without it every random number would be another one.
    return _key(kind, 1, spec.model_dump(mode="json"))


def _key(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
