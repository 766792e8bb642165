"""Options of a sweep: how it runs, which changes no result. Imports no ray, so that the command line starts at once."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args, get_type_hints

from orchestrator.errors import BadInput
from trainables.config import Runtime

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

#: Fields of the runtime that are one of a few words.
_WORDS = [(name, get_args(get_type_hints(Runtime)[name])) for name in ("layout", "compile")]


@dataclass(frozen=True)
class Options:
    """How a sweep runs: resources of a trial, cluster, data, and views of the record.

    ``cpus``, ``gpus``: of one trial, fractions are allowed; None for 1 CPU, and 1 GPU if the cluster has any. ``concurrent``:
    the most trials at once; None for as many as fit. ``address``: a running Ray cluster (``auto``, ``host:6379``); None to
    start one on this machine. ``runtime``: device, kernels and the folder of the data sets. ``tracking``: whether MLflow and
    Optuna are updated from the record. ``optuna``: the storage of Optuna's studies, a journal's path or a database's URL; None
    for a journal in the storage. ``until``: when trials stop, in local time: none is started later, and running ones stop at
    their next report; None for never. See :func:`moment`. ``verify``: whether every file of the planned trials is verified
    first, also what is not read otherwise.

    Raises:
        BadInput: a value is not allowed; also of the runtime's.
    """

    cpus: float | None = None
    gpus: float | None = None
    concurrent: int | None = None
    address: str | None = None
    runtime: Runtime = field(default_factory=Runtime)
    tracking: bool = True
    optuna: str | None = None
    until: datetime | None = None
    verify: bool = False

    def __post_init__(self) -> None:
        runtime = self.runtime
        for name, value, fits, allowed in (
            ("cpus", self.cpus, self.cpus is None or self.cpus >= 0, ">= 0, or None"),
            ("gpus", self.gpus, self.gpus is None or self.gpus >= 0, ">= 0, or None"),
            ("concurrent", self.concurrent, self.concurrent is None or self.concurrent >= 1, ">= 1, or None"),
            ("runtime.device", runtime.device, _DEVICE.fullmatch(runtime.device), "auto, cpu, cuda, cuda:0, cuda:1 ..."),
            ("runtime.threads", runtime.threads, runtime.threads is None or runtime.threads >= 1, ">= 1, or None"),
            ("runtime.memory_share", runtime.memory_share, 0 < runtime.memory_share <= 1, "> 0 and <= 1"),
            ("runtime.save_seconds", runtime.save_seconds, runtime.save_seconds >= 0, ">= 0"),
            *((f"runtime.{name}", getattr(runtime, name), getattr(runtime, name) in of, ", ".join(of)) for name, of in _WORDS),
        ):
            if not fits:
                raise BadInput(f"{name} = {value!r}: allowed: {allowed}")

    def resolved(self) -> "Options":
        """Return these options with an absolute path of the data folder, which is the same in every worker."""
        folder = str(Path(self.runtime.data_dir).expanduser().resolve())
        return replace(self, runtime=replace(self.runtime, data_dir=folder))


def moment(text: str | None, now: datetime | None = None) -> datetime | None:
    """Read a time of day, which may be tomorrow's, or a duration from ``now`` on, such as ``8h`` or ``1h30m``; None for None.

    Raises:
        BadInput: it is neither.
    """
    if text is None:
        return None
    now = now or datetime.now()
    duration = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if duration and text:
        hours, minutes, seconds = (int(part or 0) for part in duration.groups())
        return now + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    try:
        time = datetime.strptime(text, "%H:%M").time()
    except ValueError as error:
        raise BadInput(f"--until {text!r}: write a time of day, as in 22:30, or a duration, as in 8h or 1h30m") from error
    today = datetime.combine(now.date(), time)
    return today if today > now else today + timedelta(days=1)
