"""The throughput of a device: seconds per pass, from what the record holds or from a calibration."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from analysis.record.rows import Schemas, rows
from analysis.record.schema import EVALUATIONS, MEASURES, TRIAL
from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.record.store import Store
from trainables.config import TrialConfig
from trainables.config.entrance.parsing import ATTACK, MEASURE

T = TypeVar("T")

#: The columns of a run of attacks.
_RUNS = ("trial", "attack_spec", "complete", "seconds")

#: What the throughput is read from, by table.
_TABLES: Schemas = {
    "trial": pa.schema([TRIAL.field(name) for name in ("trial", "device", "config", "history")]),
    "evaluations": pa.schema([EVALUATIONS.field(name) for name in _RUNS]),
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
    trained: dict[str, tuple[str, _Alike, float]] = {}
    runs: dict[str, list[tuple[str, float]]] = {}
    alike: dict[TrialConfig, _Alike] = {}
    for tables in _readable(store, _TABLES if whole else {"trial": _TABLES["trial"]}):
        for trial, device, config, seconds in _epochs(tables["trial"]):
            with suppress(ValueError, KeyError):  # of another version
                its = _Alike.of(config, alike)
                trained[trial] = device, its, seconds / its.training
        if whole:
            kinds = {trial: its for trial, (_, its, _) in trained.items()}
            for trial, work, seconds in (*_evaluations(tables["evaluations"], kinds), *_measures(tables["measures"], kinds)):
                runs.setdefault(trial, []).append((work, seconds))
    if not trained:
        return Throughput()
    ((device, _),) = Counter(trained[trial][0] for trial in sorted(trained)).most_common(1)
    chosen = {trial: (its, seconds) for trial, (on, its, seconds) in sorted(trained.items()) if on == device}
    source = f"{len(chosen)} {'trial' if len(chosen) == 1 else 'trials'} of this storage on {device}"
    timed = (
        Timing(device, work, its.network, seconds)
        for trial, (its, epoch) in chosen.items()
        for work, seconds in ((training(its.config.training.precision), epoch), *runs.get(trial, ()))
    )
    return Throughput(device, source, tuple(timed))


@dataclass(frozen=True)
class _Alike:
    """What trials that differ in their seeds alone have in common: ``training`` is the passes of an epoch."""

    config: TrialConfig
    network: Network
    training: float
    _passes: dict[str, tuple[str, float] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, config: str, known: dict[TrialConfig, "_Alike"]) -> "_Alike":
        """Find what a configuration, as JSON, is like among those ``known``, or add it to them."""
        parsed = TrialConfig.model_validate_json(config).model_copy(update={"seed": 0})
        if parsed not in known:
            known[parsed] = cls(parsed, network(parsed), training_passes(parsed))
        return known[parsed]

    def evaluation(self, spec: str) -> tuple[str, float] | None:
        """Return the name and the passes of an attack, given as JSON; None if it is not known in this process."""
        if spec not in self._passes:
            attack = _known(ATTACK, spec)
            self._passes[spec] = attack and (attack.name, evaluation_passes(self.config, attack))
        return self._passes[spec]


def _readable(store: Store, schemas: Schemas) -> Iterator[Mapping[str, pa.Table]]:
    """Yield the tables of all trials; where one is damaged or of another version, those of each trial that is readable."""
    listed = store.trials()
    try:
        yield rows(store, listed, schemas)
    except (ValueError, KeyError):  # errors of pyarrow are ValueErrors; a missing column is a KeyError
        for trial, names in listed.items():
            with suppress(ValueError, KeyError):
                yield rows(store, {trial: names}, schemas)


def _epochs(table: pa.Table) -> Iterator[tuple[str, str, str, float]]:
    """Yield of each trial with epochs its key, device, configuration as JSON, and the median seconds of an epoch."""
    history = table["history"].combine_chunks()
    seconds = pc.struct_field(pc.list_flatten(history), "seconds").to_pylist()
    begin = 0
    for row in table.drop_columns("history").append_column("epochs", pc.list_value_length(history)).to_pylist():
        end = begin + (row["epochs"] or 0)
        if row["device"] and end > begin:
            # The median ignores the first epoch of a process, in which kernels are chosen.
            yield row["trial"], row["device"], row["config"], median(seconds[begin:end])
        begin = end


def _evaluations(table: pa.Table, kinds: Mapping[str, _Alike]) -> Iterator[tuple[str, str, float]]:
    """Yield of each run of attacks its trial, its work and its seconds per pass."""
    runs: dict[tuple[str, float], tuple[str, float]] = {}
    for trial, spec, complete, seconds in zip(*(table[name].to_pylist() for name in _RUNS), strict=True):
        if trial in kinds and (found := kinds[trial].evaluation(spec)):
            name, passes = found
            before = runs.get((trial, seconds))
            # A run that covered several evaluations is in each of their rows; its passes are those of the longest.
            if before is None or seconds / passes < before[1]:
                runs[trial, seconds] = evaluating(name, complete), seconds / passes
    yield from ((trial, *run) for (trial, _), run in runs.items())


def _measures(table: pa.Table, kinds: Mapping[str, _Alike]) -> Iterator[tuple[str, str, float]]:
    """Yield of each measurement its trial, its work and its seconds per pass."""
    for row in {(row["trial"], row["measure_spec"]): row for row in table.to_pylist()}.values():
        measure = _known(MEASURE, row["measure_spec"])
        if measure is not None and (its := kinds.get(row["trial"])):
            yield row["trial"], measuring(measure.name), row["seconds"] / measurement_passes(its.config, measure)


def _known(adapter: TypeAdapter[T], spec: str) -> T | None:
    """Parse a specification; None if it is a plugin that is not registered in this process."""
    try:
        return adapter.validate_json(spec)
    except ValidationError:
        return None
