"""Who is who: keys made of contents, and the forms that make equal things equal."""

import hashlib
import json
from typing import TYPE_CHECKING

from trainables.config.attacks import Attack
from trainables.config.measure import Activations, Measure
from trainables.config.module import Module
from trainables.config.registry import used
from trainables.config.spec import Spec

if TYPE_CHECKING:
    from trainables.config.trial import TrialConfig

#: Version of the numerics, a part of every key. Raised by hand whenever the same configuration would train to other weights.
NUMERICS = 1


def heads(module: Module) -> list[str]:
    """Names of the network's outputs: ``final``, then ``1``, ``2``, ... for the modules that predict, in forward order."""
    predictions = len(module.positions) if module.predicts else 0
    return ["final", *(str(i) for i in range(1, predictions + 1))]


def canonical_attack(attack: Attack, module: Module) -> Attack | None:
    """``attack`` as it acts on a network with ``module``: the form that is hashed, so that equal attacks are equal.

    ``own`` becomes the module's beta (CAS's eq. 5 is the CIFS eq. 3 of that beta times 1 + beta: the same direction, so the
    same attack); without predicting modules every number is 0. A view that the module has no other face for is ``plain``.
    A transferred attack is what it is on its source. None where ``attack`` aims at a module that is not there.
    """
    update = {}
    if getattr(attack, "view", "plain") not in ("plain", *module.views):
        update["view"] = "plain"
    beta = getattr(attack, "beta_atk", None)
    if beta is not None:
        predictions = len(heads(module)) - 1
        if beta.startswith("inf"):
            if not predictions or int(beta[4:] or 1) > predictions:
                return None
        else:
            number = 0.0 if not predictions else module.beta if beta == "own" else float(beta)
            update["beta_atk"] = repr(number).removesuffix(".0")
    return attack.model_copy(update=update) if update else attack


def canonical_measure(measure: Measure, trial: "TrialConfig") -> Measure | None:
    """``measure`` as it acts on the network of ``trial``: the form that is hashed, so that equal measures are equal.

    Its attacks become canonical, and a paper's name of a position the network's own. None where an attack aims at a module
    that is not there.

    Raises:
        ValueError: a position that the network does not have or that is several, or a class that the data set does not have.
    """
    update: dict[str, object] = {}
    for field in {"attack", "reference"} & type(measure).model_fields.keys():
        getattr(measure, field).check_inner(field, "measures are of the whole test set")
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


def _key(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _content(kind: str, spec: Spec) -> str:
    """The key of a configuration: its fields, the version of the numerics, and the code behind what was registered in it."""
    own = {str(part): part.fingerprint for part in used(spec)}
    return _key(kind, NUMERICS, spec.model_dump(mode="json"), *([own] if own else []))


def trial_key(config: "TrialConfig") -> str:
    """Identity of a training: 16 hex digits over the whole configuration and the version of the numerics.

    Of a registered part, its code counts too, as far as :func:`trainables.config.fingerprint.fingerprint` sees it: what is
    edited there trains anew. So it is with the keys of attacks and measures.
    """
    return _content("trial", config)


def attack_key(attack: Attack) -> str:
    """Identity of an attack in its canonical form."""
    return _content("attack", attack)


def evaluation_stream(attack: Attack) -> str:
    """Name of the stream of chance that an evaluation draws from; see :func:`trainables.rng.generator`.

    Attacks that differ in ``iterations`` or ``restarts`` alone share it, so that one is the beginning of the other.
    """
    fewest = {field: 1 for field in ("iterations", "restarts") if hasattr(attack, field)}
    return f"evaluation/{attack_key(attack.model_copy(update=fewest))}"


#: Attacks whose steps do not depend on how many there will be, and that are seen at every step.
_STEPWISE = frozenset({"pgd", "cw", "mim"})


def begins(short: Attack, long: Attack) -> bool:
    """Whether ``long`` passes through all of ``short``, so that it finds what that would have found.

    PGD-20 is the beginning of PGD-100, and one restart that of five. Not on a network whose prediction is a matter of chance.
    """
    if short.name != long.name or short.name not in _STEPWISE or getattr(long, "view", "plain") != "plain":
        return False
    # With the steps that a restart has, fewer restarts are the beginning; without any, fewer steps.
    field = "restarts" if getattr(long, "restarts", 1) > 1 else "iterations"
    less = getattr(short, field)
    return bool(less < getattr(long, field)) and short == long.model_copy(update={field: less})


def evaluation_key(trial: str, checkpoint: str, attack: Attack, complete: bool = False) -> str:
    """Identity of an evaluation: the trial, ``best`` or ``last``, the canonical attack, and whether it goes on to the end."""
    return _key("evaluation", trial, checkpoint, attack_key(attack), complete)


def measure_key(measure: Measure) -> str:
    """Identity of a measure in its canonical form."""
    return _content("measure", measure)


def measurement_key(trial: str, checkpoint: str, measure: Measure) -> str:
    """Identity of a measurement: the trial, ``best`` or ``last``, and the canonical measure."""
    return _key("measurement", trial, checkpoint, measure_key(measure))
