"""Ablations and searches of adversarial defenses, from Python.

    import advsweep

    made = advsweep.plan("cifs/robustness", profile="demo")    # what would run
    done = advsweep.run("cifs/robustness", profile="demo")     # train and evaluate what is missing
    print(advsweep.render(advsweep.table("cifs/robustness")))  # the table
    record = advsweep.load()                                   # every number, as tidy frames

Each function does the work of the command of its name, with the same defaults, and prints nothing. Importing this package
loads neither torch nor Ray, MLflow or Optuna: a function loads them when it needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.record.load import Record
    from orchestrator.api.attacks import Checked, check, evaluate, evaluate_checkpoint
    from orchestrator.api.exports import Exported, export
    from orchestrator.api.housekeeping import DiskUse, Freed, Removed, StudyUse, du, gc, rm
    from orchestrator.api.listing import Listed, fields, listing
    from orchestrator.api.observer import Observer
    from orchestrator.api.plans import SweepResult, estimate, plan, run, why_new
    from orchestrator.api.records import LoadedModel, Status, compact, doctor, load, load_model, status
    from orchestrator.api.searches import SearchResult, search
    from orchestrator.api.tables import BestCheckpoint, checkpoints, figure, figures, render, table, tables
    from orchestrator.api.views import sync
    from orchestrator.errors import AdvsweepError, BadInput, CheckFailed, DiskFull, Interrupted, SweepIncomplete, Unavailable
    from orchestrator.execution.options import Options
    from orchestrator.planning.difference import Change, Nearest
    from orchestrator.record.compaction import Compacted
    from orchestrator.record.doctor import Diagnosis, Finding
    from orchestrator.search.options import SearchOptions
    from trainables.config import Runtime
    from trainables.config.entrance.description import Field, Trait

    __version__: str

#: Public names by the module that defines them.
_NAMES = {
    "orchestrator.api.plans": ("SweepResult", "estimate", "plan", "run", "why_new"),
    "orchestrator.api.attacks": ("Checked", "check", "evaluate", "evaluate_checkpoint"),
    "orchestrator.api.searches": ("SearchResult", "search"),
    "orchestrator.api.tables": ("BestCheckpoint", "checkpoints", "figure", "figures", "render", "table", "tables"),
    "orchestrator.api.records": ("LoadedModel", "Status", "compact", "doctor", "load", "load_model", "status"),
    "orchestrator.api.housekeeping": ("DiskUse", "Freed", "Removed", "StudyUse", "du", "gc", "rm"),
    "orchestrator.api.exports": ("Exported", "export"),
    "orchestrator.api.views": ("sync",),
    "orchestrator.api.listing": ("Listed", "fields", "listing"),
    "orchestrator.api.observer": ("Observer",),
    "orchestrator.errors": (
        "AdvsweepError",
        "BadInput",
        "CheckFailed",
        "DiskFull",
        "Interrupted",
        "SweepIncomplete",
        "Unavailable",
    ),
    "orchestrator.execution.options": ("Options",),
    "orchestrator.planning.difference": ("Change", "Nearest"),
    "orchestrator.record.compaction": ("Compacted",),
    "orchestrator.record.doctor": ("Diagnosis", "Finding"),
    "orchestrator.search.options": ("SearchOptions",),
    "analysis.record.load": ("Record",),
    "trainables.config": ("Runtime",),
    "trainables.config.entrance.description": ("Field", "Trait"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "AdvsweepError",
    "BadInput",
    "BestCheckpoint",
    "Change",
    "CheckFailed",
    "Checked",
    "Compacted",
    "Diagnosis",
    "DiskFull",
    "DiskUse",
    "Exported",
    "Field",
    "Finding",
    "Freed",
    "Interrupted",
    "Listed",
    "LoadedModel",
    "Nearest",
    "Observer",
    "Options",
    "Record",
    "Removed",
    "Runtime",
    "SearchOptions",
    "SearchResult",
    "Status",
    "StudyUse",
    "SweepIncomplete",
    "SweepResult",
    "Trait",
    "Unavailable",
    "__version__",
    "check",
    "checkpoints",
    "compact",
    "doctor",
    "du",
    "estimate",
    "evaluate",
    "evaluate_checkpoint",
    "export",
    "fields",
    "figure",
    "figures",
    "gc",
    "listing",
    "load",
    "load_model",
    "plan",
    "render",
    "rm",
    "run",
    "search",
    "status",
    "sync",
    "table",
    "tables",
    "why_new",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("advsweep")
    elif name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'advsweep' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
