"""Keys of every study's demo profile, the names of their random streams, and the versions of built-ins that they hold."""

from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.planning.expansion import plan
from search_spaces.catalog import STUDIES
from search_spaces.study import Study
from tests.golden.plans import digest
from trainables.config import evaluation_stream, measurement_stream
from trainables.config.identity import EVALUATION, MEASUREMENT, TRAINING
from trainables.config.terms.registry import KINDS

#: The study whose keys are written out, besides the digests of all.
WRITTEN_OUT = "cifs/table-1"

#: What to do about a key that has changed.
ADVICE = """
What is recorded under the key of before is found no more: it is trained, or attacked, anew. Another stream draws other random
numbers. A key holds every field of a configuration and the versions of what computes: see "Numbers must not move" in
CONTRIBUTING.md.
By accident: undo what changed it, such as a field or a default that was added or renamed.
On purpose: say in CHANGELOG, under Changed, whose keys change and why, and run `python -m tests.golden write {kind}`."""


def values() -> Iterator[tuple[str, dict[str, Any]]]:
    """Of every study how many keys and streams of each sort there are, and a digest of them."""
    built_in = (kind.entries[name] for kind in KINDS for name in kind.built_ins)
    versions: dict[str, Any] = {str(entry): entry.version for entry in built_in}
    yield "versions", {**versions, "training": TRAINING, "evaluation": EVALUATION, "measurement": MEASUREMENT}
    yield f"{WRITTEN_OUT} (demo), written out", written_out(STUDIES[WRITTEN_OUT])
    for study in STUDIES.values():
        yield f"{study.name} (demo)", digests(study)


def digests(study: Study) -> dict[str, str]:
    """Of each sort of key and stream, how many there are and a digest of them."""
    trials = plan([study], "demo").trials
    evaluations = [evaluation for trial in trials for evaluation in trial.evaluations]
    measurements = [measurement for trial in trials for measurement in trial.measurements]
    sorts: dict[str, Iterable[str]] = {
        "trials": (trial.key for trial in trials),
        "evaluations": (evaluation.key for evaluation in evaluations),
        "measurements": (measurement.key for measurement in measurements),
        "families": (trial.family or "" for trial in trials),
        "streams": {evaluation_stream(evaluation.attack) for evaluation in evaluations}
        | {measurement_stream(measurement.measure) for measurement in measurements},
    }
    return {name: f"{len(keys)} {digest(' '.join(keys))}" for name, keys in ((name, sorted(k)) for name, k in sorts.items())}


def written_out(study: Study) -> dict[str, str]:
    """The keys of a study's trials by their labels, and of the first trial's evaluations by theirs."""
    trials = plan([study], "demo").trials
    first = {f"{trials[0].label}: {e.label} of {e.checkpoint}": e.key for e in trials[0].evaluations}
    return {trial.label: trial.key for trial in trials} | first
