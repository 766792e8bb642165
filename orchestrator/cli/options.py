"""Options that several commands share, and groups of options that a command gets as one value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.api.terms import STORAGE, ProfileName

if TYPE_CHECKING:
    from orchestrator.execution.options import Options

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Studies: names, aliases or patterns such as 'cifs/*'.")]
Storage = Annotated[
    str, typer.Option(help="The storage of the record: a folder, or a URI that pyarrow knows (s3://bucket/path).")
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
        help="A file with your studies and plugins, .py or .toml; see `advsweep new-study`.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Resume failed trials, and run failed attacks again.")]
DataDir = Annotated[str, typer.Option(help="Folder of the data sets, on every node.")]
Optuna = Annotated[
    str | None,
    typer.Option(
        "--optuna",
        metavar="URL",
        envvar="ADVSWEEP_OPTUNA",
        help="Optuna's storage: a journal's path, or a URL such as sqlite:///studies.db; by default a journal in --storage.",
    ),
]
Name = Annotated[str, typer.Argument(help="A study that was run here: name, alias or pattern.")]
NewestProfile = Annotated[
    Literal["paper", "short", "demo"] | None, typer.Option(help="The profile of the run; by default that of the newest run.")
]
RunSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="All settings of the run; by default those of the newest."),
]
Variant = Annotated[str | None, typer.Option(help="The variant of the run, as `advsweep status` names it.")]


@dataclass(frozen=True)
class StudyOptions:
    """Options of a command that plans studies; its fields are arguments of the functions of :mod:`orchestrator.api`."""

    profile: ProfileName
    seeds: int | None
    settings: Mapping[str, Any]
    study_files: tuple[Path, ...]
    storage: str
    retry_failed: bool


def study_options(
    *,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    study_file: StudyFiles = None,
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
) -> StudyOptions:
    """Make :class:`StudyOptions` of the command line's options."""
    from orchestrator.planning.settings import parse

    return StudyOptions(profile, seeds, parse(settings or []), tuple(study_file or ()), storage, retry_failed)


@dataclass(frozen=True)
class SelectionOptions:
    """The rows and columns of studies that a command plans; arguments of :func:`orchestrator.api.plans.plan`."""

    where: Mapping[str, Sequence[str]]
    columns: tuple[str, ...]


def selection_options(
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACTOR=LABEL",
            help="Only rows of this label, its value, or a pattern: beta=0.1, 'module=C*'; several of a factor: any of them.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only columns of this label or pattern: Natural, 'PGD*'.")
    ] = None,
) -> SelectionOptions:
    """Make :class:`SelectionOptions` of the command line's options."""
    from orchestrator.planning.selection import parse_where

    return SelectionOptions(parse_where(where or []), tuple(columns or ()))


def sweep_options(
    *,
    cpus_per_trial: Annotated[float | None, typer.Option(min=0, help="CPU cores of a trial; 1 by default.")] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs of a trial, or a fraction of one; by default 1 if the cluster has any.")
    ] = None,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at once; by default as many as fit.")] = None,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster: auto, or host:6379.")] = None,
    data_dir: DataDir = "data",
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data sets into --data-dir.")] = False,
    layout: Annotated[
        Literal["auto", "contiguous", "channels-last"],
        typer.Option(help="Memory layout of the networks; auto: channels-last with bf16, where it is faster."),
    ] = "auto",
    compile_: Annotated[
        Literal["off", "kernels", "graphs"],
        typer.Option("--compile", help="kernels: compiled, minutes at the start of a trial; graphs: with CUDA graphs too."),
    ] = "off",
    optuna: Optuna = None,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Leave MLflow and Optuna to a later `advsweep sync`.")
    ] = False,
    save_every: Annotated[
        float,
        typer.Option(min=0, help="Seconds between states of a training: what a killed process loses at most; 0: each epoch."),
    ] = 60.0,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Start no trial after this time of day (22:30) or duration (8h, 90m); running ones stop at their next epoch.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="First verify every file of these trials, weights and states too; mend what is damaged."),
    ] = False,
) -> "Options":
    """Make the options of a sweep of the command line's options."""
    from orchestrator.execution.options import Options, moment
    from trainables.config import Runtime

    runtime = Runtime(data_dir=data_dir, download=download, layout=layout, compile=compile_, save_seconds=save_every)
    return Options(
        cpus=cpus_per_trial,
        gpus=gpus_per_trial,
        concurrent=max_concurrent,
        address=address,
        runtime=runtime,
        tracking=not no_tracking,
        optuna=optuna,
        until=moment(until),
        verify=verify,
    ).resolved()


#: Functions that make the value of a group of options, by the parameter of commands that gets it.
GROUPS: Mapping[str, Callable[..., Any]] = {
    "study": study_options,
    "selection": selection_options,
    "options": sweep_options,
}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameters that are named in :data:`GROUPS` by the options of that group."""
    own = signature(command)
    groups = {name: signature(GROUPS[name]).parameters for name in own.parameters if name in GROUPS}

    # Without annotations, in which Typer would still find the replaced parameters.
    @wraps(command, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def called(**given: Any) -> None:
        values = {name: GROUPS[name](**{part: given.pop(part) for part in added}) for name, added in groups.items()}
        command(**values, **given)

    parameters = [p for name, mine in own.parameters.items() for p in (groups[name].values() if name in groups else [mine])]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return called
