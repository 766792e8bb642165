"""The machine that a worker runs on, and what is installed there."""

import re
import socket
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from orchestrator.record.environments import write_environment
from orchestrator.record.files import Files
from orchestrator.record.sharing.drivers import user_name

#: Where NVIDIA's driver says its version.
DRIVER = Path("/proc/driver/nvidia/version")


def machine_columns(storage: str, device: torch.device) -> dict[str, Any]:
    """Return the columns of a trial's row that depend on the machine, and write its packages to the storage.

    A process looks at its machine once, and writes to each storage once.
    """
    gpu = device.type == "cuda"
    return {
        "packages": _written(storage),
        "cuda": torch.version.cuda if gpu else None,
        "driver": driver_version() if gpu else None,
        "host": socket.gethostname(),
        "user": user_name(),
    }


@cache
def packages() -> str:
    """List the installed distributions as lines ``name==version``; of two of one name, the one that is imported."""
    found: dict[str, str] = {}
    for each in distributions():
        if name := each.metadata["Name"]:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), f"{name}=={each.version}\n")
    return "".join(found[name] for name in sorted(found))


@cache
def _written(storage: str) -> str:
    return write_environment(Files(storage), packages())


def driver_version(file: Path = DRIVER) -> str | None:
    """Return the version of NVIDIA's driver: the first word of numbers and dots in its file; None without one."""
    try:
        words = file.read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return None
    return next((word for word in words if "." in word and word.replace(".", "").isdigit()), None)
