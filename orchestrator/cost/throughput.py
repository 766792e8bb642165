"""The throughput of a device: seconds per pass, whether the record holds them or a calibration measures them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import NamedTuple

from orchestrator.cost.network_size import multiply_adds
from trainables.config import TrialConfig

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
