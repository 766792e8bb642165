"""How long passes took before: what the record says of a kind of device, or a few batches trained here and now."""

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

#: A network as far as its speed goes: its name, what is inserted in it, and its multiply-adds.
Network = tuple[str, str, int]

#: A network speaks for others of at most so many times its multiply-adds: the time of small ones is not all arithmetic.
REACH = 20


class Timed(NamedTuple):
    """Work that was timed. ``seconds``: a pass, by :mod:`orchestrator.cost.passes`, which for evaluations counts at most."""

    device: str
    work: str  # as the functions below name it
    network: Network
    seconds: float


def training(precision: str) -> str:
    """Work of training in a precision; evaluations are float32 always."""
    return f"train {precision}"


def evaluating(attack: str, complete: bool = False) -> str:
    """Work of an attack by its name; one that goes on to the end of every example is another."""
    return f"evaluate {attack}{' complete' if complete else ''}"


def measuring(measure: str) -> str:
    """Work of a measure by its name."""
    return f"measure {measure}"


def network(config: TrialConfig) -> Network:
    """What passes of two trials are compared by."""
    return config.model.name, config.module.name, multiply_adds(config.model, config.module, config.data.info)


@dataclass(frozen=True)
class Throughput:
    """Seconds a pass on a ``device`` (None: nothing is known), ``source`` saying how they were got."""

    device: str | None = None
    source: str | None = None
    timed: tuple[Timed, ...] = ()
    _found: dict[tuple[str, Network], float | None] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _by_work(self) -> Mapping[str, list[Timed]]:
        by_work: dict[str, list[Timed]] = {}
        for one in self.timed:
            by_work.setdefault(one.work, []).append(one)
        return by_work

    def knows(self, config: TrialConfig) -> bool:
        """Whether a network of this kind was timed itself."""
        its = network(config)
        return any(one.network == its for one in self.timed)

    def seconds(self, config: TrialConfig, *works: str) -> float | None:
        """A pass of the first of these works that is known; of this network, or of comparable ones by their multiply-adds.

        The median of all that were timed; None where none of the works was.
        """
        its = network(config)
        for work in works:
            if (work, its) not in self._found:
                self._found[work, its] = self._median(work, its)
            if (found := self._found[work, its]) is not None:
                return found
        return None

    def _median(self, work: str, its: Network) -> float | None:
        there = self._by_work.get(work, [])
        if same := [one.seconds for one in there if one.network == its]:
            return median(same)
        alike = [one.seconds / one.network[2] for one in there if its[2] <= REACH * one.network[2]]
        return median(alike) * its[2] if alike else None


def recorded(store: Store) -> Throughput:
    """What the record holds of the device that most of its trials were trained on."""
    with ThreadPoolExecutor(16) as pool:
        trials = [timed for timed in pool.map(lambda trial: _readable(store, trial), store.trials()) if timed]
    if not trials:
        return Throughput()
    ((device, _),) = Counter(timed[0].device for timed in trials).most_common(1)
    there = [timed for timed in trials if timed[0].device == device]
    source = f"{len(there)} {'trial' if len(there) == 1 else 'trials'} of this storage on {device}"
    return Throughput(device, source, tuple(one for timed in there for one in timed))


def _readable(store: Store, trial: str) -> list[Timed]:
    """What one trial says; nothing where another version wrote it, or where it is broken: no other trial needs it."""
    try:
        return list(_timed(store, trial))
    except (ValueError, KeyError):  # pydantic's and pyarrow's errors are ValueErrors; a column that is not there
        return []


def _timed(store: Store, trial: str) -> Iterable[Timed]:
    """What one trial says: its epochs' median first, then each run of an attack or a measure."""
    row = store.read_trial(trial)
    epochs = store.read_epochs(trial) if row else []
    if not row or not row["device"] or not epochs:
        return
    config = TrialConfig.model_validate_json(row["config"])
    device, its = row["device"], network(config)
    # The first epoch of a process also chooses kernels; the median passes it over.
    seconds = median(epoch["seconds"] for epoch in epochs)
    yield Timed(device, training(config.training.precision), its, seconds / training_passes(config))
    runs: dict[float, Timed] = {}
    for found in store.read_evaluations(trial):
        if (attack := _known(ATTACK, found["attack_spec"])) is None:
            continue
        work = evaluating(attack.name, found["complete"])
        one = Timed(device, work, its, found["seconds"] / evaluation_passes(config, attack))
        # A run that answered several evaluations is in each of their rows; its passes are those of the longest.
        runs[found["seconds"]] = min(one, runs.get(found["seconds"], one), key=lambda timed: timed.seconds)
    yield from runs.values()
    for spec, seconds in store.measure_seconds(trial).items():
        if (measure := _known(MEASURE, spec)) is not None:
            yield Timed(device, measuring(measure.name), its, seconds / measurement_passes(config, measure))


def _known(adapter: TypeAdapter[T], spec: str) -> T | None:
    """None where nobody registered it in this process."""
    try:
        return adapter.validate_json(spec)
    except ValidationError:
        return None
