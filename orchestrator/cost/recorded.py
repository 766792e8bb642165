"""The throughput that a record holds, from the rows of all its trials at once."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from analysis.record.columns import coded, codes, numbers
from analysis.record.rows import Schemas, rows
from analysis.record.schema import EVALUATIONS, MEASURES, TRIAL
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.cost.throughput import Network, Throughput, Timing, evaluating, measuring, network, training
from orchestrator.record.store import Store
from trainables.config import TrialConfig
from trainables.config.entrance.parsing import ATTACK, MEASURE

#: The seed at the end of a configuration's JSON.
_SEED = re.compile(r',"seed":\d+}$')

T = TypeVar("T")

#: What the throughput is read from, by table.
_TABLES: Schemas = {
    "trial": pa.schema([TRIAL.field(name) for name in ("trial", "device", "config", "epochs", "history")]),
    "evaluations": coded(pa.schema([EVALUATIONS.field(name) for name in ("trial", "attack_spec", "complete", "seconds")])),
    "measures": pa.schema([MEASURES.field(name) for name in ("trial", "measure_spec", "seconds")]),
}

#: What says on which device trials were trained.
_UNTIMED: Schemas = {"trial": pa.schema([TRIAL.field(name) for name in ("trial", "device", "config", "epochs")])}


def recorded(store: Store, needed: bool = True) -> Throughput:
    """Read from the record the throughput of the device that most trials were trained on.

    ``needed``: whether timings are; otherwise only the device and the source are read, which takes less time.
    """
    found: dict[str, _Timed] = {}
    for tables in _readable(store, _TABLES if needed else _UNTIMED):
        trials = _trainings(tables["trial"])
        if needed:
            _add_epochs(tables["trial"], trials)
            for trial, work, seconds in (*_evaluations(tables["evaluations"], trials), *_measures(tables["measures"], trials)):
                trials[trial].works.append((work, seconds))
        found |= trials
    if not found:
        return Throughput()
    trained = [timed for _, timed in sorted(found.items())]
    ((device, _),) = Counter(timed.device for timed in trained).most_common(1)
    chosen = [timed for timed in trained if timed.device == device]
    source = f"{len(chosen)} {'trial' if len(chosen) == 1 else 'trials'} of this storage on {device}"
    return Throughput(device, source, tuple(Timing(device, work, t.alike.network, s) for t in chosen for work, s in t.works))


@dataclass(frozen=True, eq=False)
class _Alike:
    """What trials that differ in their seeds alone have in common: ``passes`` are those of an epoch's training."""

    config: TrialConfig
    network: Network
    passes: float


class _Timed(NamedTuple):
    """A trial: its device, what it is ``alike``, and its works with their seconds per pass."""

    device: str
    alike: _Alike
    works: list[tuple[str, float]]


def _readable(store: Store, schemas: Schemas) -> Iterator[Mapping[str, pa.Table]]:
    """Yield the tables of all trials; where one is damaged or of another version, those of each trial that is readable."""
    listed = store.trials()
    try:
        yield rows(store, listed, schemas)
    except (ValueError, KeyError):  # errors of pyarrow are ValueErrors; a missing column is a KeyError
        for trial, names in listed.items():
            with suppress(ValueError, KeyError):
                yield rows(store, {trial: names}, schemas)


def _trainings(table: pa.Table) -> dict[str, _Timed]:
    """Collect the trials that have epochs and whose configuration is valid here, without their works."""
    found: dict[str, _Timed] = {}
    alike: dict[str, _Alike] = {}
    columns = (table[name].to_pylist() for name in ("trial", "device", "config", "epochs"))
    for trial, device, config, epochs in zip(*columns, strict=True):
        if device and epochs:
            with suppress(ValueError, KeyError):  # of another version
                found[trial] = _Timed(device, _alike(config, alike), [])
    return found


def _add_epochs(table: pa.Table, trials: Mapping[str, _Timed]) -> None:
    """Add the work of training, with the median seconds of an epoch: it ignores the first, in which kernels are chosen."""
    history = table["history"].combine_chunks()
    seconds = pc.struct_field(pc.list_flatten(history), "seconds").to_pylist()
    ends = np.cumsum(pc.fill_null(pc.list_value_length(history), 0).to_numpy(zero_copy_only=False)).tolist()
    for trial, begin, end in zip(table["trial"].to_pylist(), [0, *ends], ends, strict=False):
        if (timed := trials.get(trial)) and end > begin:
            epoch = median(seconds[begin:end]) / timed.alike.passes
            timed.works.append((training(timed.alike.config.training.precision), epoch))


def _alike(config: str, known: dict[str, _Alike]) -> _Alike:
    """Find what a configuration, as JSON, is like among those ``known``, or add it to them."""
    its = _SEED.sub("", config)
    if its not in known:
        parsed = TrialConfig.model_validate_json(config)
        known[its] = _Alike(parsed, network(parsed), training_passes(parsed))
    return known[its]


def _evaluations(table: pa.Table, trials: Mapping[str, _Timed]) -> Iterator[tuple[str, str, float]]:
    """Yield of each run of attacks its trial, its work and its seconds per pass."""
    trial, spec, seconds = codes(table, "trial"), codes(table, "attack_spec"), numbers(table, "seconds")
    attacks = [_known(ATTACK, text or "{}") for text in spec.texts]
    passes = {
        its: [evaluation_passes(its.config, attack) if attack else np.nan for attack in attacks]
        for its in {timed.alike for timed in trials.values()}
    }
    unknown = [np.nan] * len(attacks)
    each = np.array([passes[trials[key].alike] if key in trials else unknown for key in map(str, trial.texts)])
    a_pass = seconds / each[trial.of, spec.of]
    order = np.lexsort((a_pass, seconds, trial.of))
    order = order[~np.isnan(a_pass[order])]
    # A run that covered several evaluations is in each of their rows; its passes are those of the longest.
    run = np.stack([trial.of[order], seconds[order]])
    order = order[np.append(True, (run[:, 1:] != run[:, :-1]).any(axis=0))[: len(order)]]
    complete = numbers(table, "complete")
    for row in order.tolist():
        yield str(trial.texts[trial.of[row]]), evaluating(attacks[spec.of[row]].name, bool(complete[row])), float(a_pass[row])


def _measures(table: pa.Table, trials: Mapping[str, _Timed]) -> Iterator[tuple[str, str, float]]:
    """Yield of each measurement its trial, its work and its seconds per pass."""
    rows_of = zip(*(table[name].to_pylist() for name in ("trial", "measure_spec", "seconds")), strict=True)
    for (trial, spec), seconds in {(trial, spec): seconds for trial, spec, seconds in rows_of}.items():
        if (measure := _known(MEASURE, spec)) is not None and trial in trials:
            yield trial, measuring(measure.name), seconds / measurement_passes(trials[trial].alike.config, measure)


def _known(adapter: TypeAdapter[T], spec: str) -> T | None:
    """Parse a specification; None if it is a plugin that is not registered in this process."""
    try:
        return adapter.validate_json(spec)
    except ValidationError:
        return None
