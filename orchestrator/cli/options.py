"""What several commands share: their options, and the groups of options that are one value for a command."""

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True)
class StudyOptions:
    """Which studies, how and where; its fields are arguments of the functions of :mod:`orchestrator.api`."""

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
    """Which studies, how and where, from the command line."""
    from orchestrator.planning.settings import parse

    return StudyOptions(profile, seeds, parse(settings or []), tuple(study_file or ()), storage, retry_failed)


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

    runtime = Runtime(data_dir=data_dir, download=download, layout=layout, compile=compile_)
    return Options(cpus_per_trial, gpus_per_trial, max_concurrent, address, runtime, not no_tracking, optuna).resolved()


#: Parameters of commands that stand for a group of options, and what makes the group's value of them.
GROUPS: Mapping[str, Callable[..., Any]] = {"study": study_options, "options": sweep_options}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every group in place of the parameter that gets their value (see :data:`GROUPS`)."""
    own = signature(command)
    groups = {name: signature(GROUPS[name]).parameters for name in own.parameters if name in GROUPS}

    # Without its annotations, where Typer would still find those parameters.
    @wraps(command, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def called(**given: Any) -> None:
        values = {name: GROUPS[name](**{part: given.pop(part) for part in added}) for name, added in groups.items()}
        command(**values, **given)

    parameters = [p for name, mine in own.parameters.items() for p in (groups[name].values() if name in groups else [mine])]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return called
