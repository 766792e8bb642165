"""What several commands share: their options, the two consoles, and how studies and storages are found."""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from orchestrator.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from analysis.schema import Manifest
    from orchestrator.execution.options import Options
    from orchestrator.record.store import Store
    from search_spaces.study import Study

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Studies: names, aliases or patterns such as 'cifs/*'.")]
Storage = Annotated[
    str, typer.Option(help="Where everything is kept: a folder, or a URI that pyarrow knows (s3://bucket/path).")
]
ProfileOption = Annotated[
    Literal["paper", "short", "demo"],
    typer.Option(
        help="paper: the paper's data, network and schedule; short: 30 epochs in bf16; demo: handwritten digits, seconds."
    ),
]
Seeds = Annotated[int | None, typer.Option(min=1, help="How many seeds (0, 1, ...); the profile's number by default.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of every trial that has it: training.lr=0.1."),
]
StudyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--study-file",
        metavar="FILE",
        help="One's own studies and parts, .py or .toml; see `advsweep new-study`.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Take up failed trials again, from their last checkpoint.")]
DataDir = Annotated[str, typer.Option(help="Folder of the data sets, on every node.")]
Optuna = Annotated[
    str | None,
    typer.Option(
        "--optuna",
        metavar="URL",
        envvar="ADVSWEEP_OPTUNA",
        help="Where Optuna's studies are: a journal's path, or a URL such as sqlite:///studies.db; a journal in the storage by "
        "default.",
    ),
]
Name = Annotated[str, typer.Argument(help="A study that was run here: name, alias or pattern.")]
NewestProfile = Annotated[Literal["paper", "short", "demo"] | None, typer.Option(help="The newest run by default.")]
STORAGE = "./advsweep-results"


def sweep_options(
    *,
    cpus_per_trial: Annotated[float | None, typer.Option(min=0, help="CPU cores a trial; 1 by default.")] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs a trial, fractions too; 1 by default where the cluster has any.")
    ] = None,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at once; as many as fit by default.")] = None,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster: auto, or host:6379.")] = None,
    data_dir: DataDir = "data",
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data sets into --data-dir.")] = False,
    layout: Annotated[
        Literal["auto", "contiguous", "channels-last"],
        typer.Option(help="Memory layout of the networks; auto: channels-last with bf16, where it is faster."),
    ] = "auto",
    compile_: Annotated[
        Literal["off", "kernels", "graphs"],
        typer.Option("--compile", help="kernels: compiled, minutes at the start of a trial; graphs: CUDA graphs besides."),
    ] = "off",
    optuna: Optuna = None,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Leave MLflow and Optuna to a later `advsweep sync`.")
    ] = False,
) -> "Options":
    """How a sweep runs, from the command line."""
    from orchestrator.execution.options import Options
    from trainables.config import Runtime

    folder = str(Path(data_dir).expanduser().resolve())
    runtime = Runtime(data_dir=folder, download=download, layout=layout, compile=compile_)
    return Options(cpus_per_trial, gpus_per_trial, max_concurrent, address, runtime, not no_tracking, optuna)


def with_sweep_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of :func:`sweep_options` in place of its parameter ``options``, which gets their value."""
    own, added = signature(command), signature(sweep_options).parameters

    # Without its annotations, where Typer would still find that parameter.
    @wraps(command, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def called(**given: Any) -> None:
        command(options=sweep_options(**{name: given.pop(name) for name in added}), **given)

    parameters = [p for mine in own.parameters.values() for p in (added.values() if mine.name == "options" else [mine])]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return called


def find_studies(patterns: Sequence[str], files: Sequence[Path] | None = None) -> "tuple[Study, ...]":
    """The studies of these names, each once: the catalogue's, and those of ``files``, whose parts are registered."""
    from orchestrator.authoring.study_files import load
    from search_spaces.catalog import UnknownStudy, find

    own = load(files or ())
    try:
        return tuple({study.name: study for pattern in patterns for study in find(pattern, own)}.values())
    except UnknownStudy as error:
        raise BadInput(str(error)) from error


def existing_store(storage: str) -> "Store":
    """The record of a storage that is there."""
    from orchestrator.record.store import Store

    store = Store(storage)
    if not store.exists():
        raise Unavailable(f"--storage {storage!r}: there is nothing yet; `advsweep run` makes it")
    return store


def find_manifests(storage: str, pattern: str, profile: str | None) -> "list[Manifest]":
    """The studies of this pattern that were run on the storage, the newest variant of each."""
    from analysis.load import BrokenRecordError, ManifestNotFoundError, manifests, newest
    from search_spaces.catalog import UnknownStudy, find

    existing_store(storage)
    try:
        there = manifests(storage)
        if any(c in pattern for c in "*?["):
            # By what is there, and not by the catalogue: a study of one's own is found without its file.
            wanted = {m.study for m in there if any(fnmatchcase(name, pattern) for name in m.names)}
            if not wanted:
                raise ManifestNotFoundError(
                    f"no study of {pattern!r} was run on {storage!r} yet; run it with `advsweep run {pattern}`"
                )
            return [newest(there, name, profile, storage) for name in sorted(wanted)]
        return [newest(there, pattern, profile, storage)]
    except ManifestNotFoundError as error:
        try:
            find(pattern)
        except UnknownStudy as unknown:
            if unknown.explained:  # such as a slip of the keyboard
                raise BadInput(str(unknown)) from error
        raise BadInput(str(error)) from error
    except BrokenRecordError as error:
        raise Unavailable(str(error)) from error


def print_json(value: Any) -> None:
    """For programs."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def storage_option(storage: str) -> str:
    """``--storage`` as one would type it; nothing where it is the default."""
    return "" if storage == STORAGE else f" --storage {shlex.quote(storage)}"
