"""The throughput of a device: seconds per pass, from what the record holds or from a calibration."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from analysis.record.columns import coded, codes, numbers
from analysis.record.rows import Schemas, rows
from analysis.record.schema import EVALUATIONS, MEASURES, TRIAL
from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.record.store import Store
from trainables.config import TrialConfig
from trainables.config.entrance.parsing import ATTACK, MEASURE

#: The seed at the end of a configuration's JSON.
_SEED = re.compile(r',"seed":\d+}$')

T = TypeVar("T")

#: What the throughput is read from, by table.
_TABLES: Schemas = {
    "trial": pa.schema([TRIAL.field(name) for name in ("trial", "device", "config", "history")]),
    "evaluations": coded(pa.schema([EVALUATIONS.field(name) for name in ("trial", "attack_spec", "complete", "seconds")])),
    "measures": pa.schema([MEASURES.field(name) for name in ("trial", "measure_spec", "seconds")]),
}

#: What a network's speed depends on: its name, the inserted module's name, and its multiply-adds.
Network = tuple[str, str, int]

#: A timing applies to networks of at most so many times the multiply-adds: small ones do not spend all time on arithmetic.
MAX_SIZE_RATIO = 20


class Timing(NamedTuple):
    """The time of one kind of work on one network: ``seconds`` per pass, as :mod:`orchestrator.cost.passes` counts passes."""

    device: str
    work: str  # as training(), evaluating() or measuring() name it
    network: Network
    seconds: float


def training(precision: str) -> str:
    """Name the work of training in a precision."""
    return f"train {precision}"


def evaluating(attack: str, complete: bool = False) -> str:
    """Name the work of an attack; a complete one, which does not stop at broken examples, is different work."""
    return f"evaluate {attack}{' complete' if complete else ''}"


def measuring(measure: str) -> str:
    """Name the work of a measure."""
    return f"measure {measure}"


def network(config: TrialConfig) -> Network:
    """Return what the speed of a configuration's network depends on."""
    return config.model.name, config.module.name, multiply_adds(config.model, config.module, config.data.info)


@dataclass(frozen=True)
class Throughput:
    """Timings on a ``device`` (None if there are none); ``source`` says for people where they come from."""

    device: str | None = None
    source: str | None = None
    timed: tuple[Timing, ...] = ()
    _found: dict[tuple[str, Network], float | None] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _by_work(self) -> Mapping[str, list[Timing]]:
        """The timings of each work."""
        by_work: dict[str, list[Timing]] = {}
        for one in self.timed:
            by_work.setdefault(one.work, []).append(one)
        return by_work

    def knows(self, config: TrialConfig) -> bool:
        """Check whether a configuration's own network was timed, in any work."""
        its = network(config)
        return any(one.network == its for one in self.timed)

    def seconds(self, config: TrialConfig, *works: str) -> float | None:
        """Return the median seconds per pass of the first of these works that was timed; None if none was.

        Timings of the configuration's own network are used first, otherwise those of others, scaled by multiply-adds.
        """
        its = network(config)
        for work in works:
            if (work, its) not in self._found:
                self._found[work, its] = self._median(work, its)
            if (found := self._found[work, its]) is not None:
                return found
        return None

    def _median(self, work: str, its: Network) -> float | None:
        """Return the median seconds per pass of a work on a network; None if nothing comparable was timed."""
        timings = self._by_work.get(work, [])
        if same := [one.seconds for one in timings if one.network == its]:
            return median(same)
        alike = [one.seconds / one.network[2] for one in timings if its[2] <= MAX_SIZE_RATIO * one.network[2]]
        return median(alike) * its[2] if alike else None


def recorded(store: Store, whole: bool = True) -> Throughput:
    """Read from the record the throughput of the device that most trials were trained on.

    ``whole``: with the timings of evaluations and measurements, which are the most; otherwise of trainings alone.
    """
    found: dict[str, _Timed] = {}
    for tables in _readable(store, _TABLES if whole else {"trial": _TABLES["trial"]}):
        trials = _trainings(tables["trial"])
        if whole:
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
    """Read the median seconds of an epoch of each trial that has epochs and whose configuration is valid here."""
    found: dict[str, _Timed] = {}
    alike: dict[str, _Alike] = {}
    history = table["history"].combine_chunks()
    seconds = pc.struct_field(pc.list_flatten(history), "seconds").to_pylist()
    ends = np.cumsum(pc.fill_null(pc.list_value_length(history), 0).to_numpy(zero_copy_only=False)).tolist()
    columns = (table[name].to_pylist() for name in ("trial", "device", "config"))
    for trial, device, config, begin, end in zip(*columns, [0, *ends], ends, strict=False):
        if device and end > begin:
            with suppress(ValueError, KeyError):  # of another version
                its = _alike(config, alike)
                # The median ignores the first epoch of a process, in which kernels are chosen.
                epoch = median(seconds[begin:end]) / its.passes
                found[trial] = _Timed(device, its, [(training(its.config.training.precision), epoch)])
    return found


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
