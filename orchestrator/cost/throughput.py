"""The throughput of a device: seconds per pass, from what the record holds or from a calibration."""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.record.store import Store
from trainables.config import TrialConfig
from trainables.config.entrance.parsing import ATTACK, MEASURE

T = TypeVar("T")

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


def recorded(store: Store) -> Throughput:
    """Read from the record the throughput of the device that most trials were trained on."""
    with ThreadPoolExecutor(16) as pool:
        trials = [timed for timed in pool.map(lambda trial: _readable(store, trial), store.trials()) if timed]
    if not trials:
        return Throughput()
    ((device, _),) = Counter(timed[0].device for timed in trials).most_common(1)
    chosen = [timed for timed in trials if timed[0].device == device]
    source = f"{len(chosen)} {'trial' if len(chosen) == 1 else 'trials'} of this storage on {device}"
    return Throughput(device, source, tuple(one for timed in chosen for one in timed))


def _readable(store: Store, trial: str) -> list[Timing]:
    """Return the timings of a trial; none if its record is broken or of another version: other trials have theirs."""
    try:
        return list(_timed(store, trial))
    except (ValueError, KeyError):  # errors of pydantic and pyarrow are ValueErrors; a missing column is a KeyError
        return []


def _timed(store: Store, trial: str) -> Iterable[Timing]:
    """Yield the timings of a trial: the median of its epochs first, then each run of an attack or a measure."""
    row = store.read_trial(trial)
    epochs = store.read_epochs(trial) if row else []
    if not row or not row["device"] or not epochs:
        return
    config = TrialConfig.model_validate_json(row["config"])
    device, its = row["device"], network(config)
    # The median ignores the first epoch of a process, in which kernels are chosen.
    seconds = median(epoch["seconds"] for epoch in epochs)
    yield Timing(device, training(config.training.precision), its, seconds / training_passes(config))
    runs: dict[float, Timing] = {}
    for found in store.read_evaluations(trial):
        if (attack := _known(ATTACK, found["attack_spec"])) is None:
            continue
        work = evaluating(attack.name, found["complete"])
        one = Timing(device, work, its, found["seconds"] / evaluation_passes(config, attack))
        # A run that covered several evaluations is in each of their rows; its passes are those of the longest.
        runs[found["seconds"]] = min(one, runs.get(found["seconds"], one), key=lambda timed: timed.seconds)
    yield from runs.values()
    for spec, seconds in store.measure_seconds(trial).items():
        if (measure := _known(MEASURE, spec)) is not None:
            yield Timing(device, measuring(measure.name), its, seconds / measurement_passes(config, measure))


def _known(adapter: TypeAdapter[T], spec: str) -> T | None:
    """Parse a specification; None if it is a plugin that is not registered in this process."""
    try:
        return adapter.validate_json(spec)
    except ValidationError:
        return None
