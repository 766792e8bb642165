"""The command line: ``advsweep``."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table as RichTable

from orchestrator.errors import AdvsweepError, BadInput, Interrupted, SweepIncomplete, Unavailable
from orchestrator.signals import terminate_as_interrupt

app = typer.Typer(
    name="advsweep",
    help="Ablations of adversarial defenses: name a table of a paper, train what is missing, print it.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Take up failed trials again, from their last checkpoint.")]
STORAGE = "./advsweep-results"


@app.command()
def studies(
    pattern: Annotated[str, typer.Argument(help="A name, an alias, or a pattern such as 'cifs/*'.")] = "*",
    profile: ProfileOption = "paper",
    as_json: Json = False,
) -> None:
    """List the studies: what they vary, and how many trainings they ask for.

    Example: `advsweep studies 'cifs/*'`
    """
    rows: list[dict[str, Any]] = []
    for study in _find([pattern]):
        at = study.profiles[profile]
        rows.append(
            {
                "name": study.name,
                "aliases": list(study.aliases),
                "paper": study.paper,
                "reference": study.reference,
                "title": study.title,
                "factors": {f.name: [level.label for level in f.levels] for f in study.varied(at)},
                "columns": [column.label for column in study.columns],
                "arms": len(study.arms(at)),
                "seeds": at.seeds,
            }
        )
    if as_json:
        _print_json(rows)
        return
    table = RichTable("name", "alias", "paper", "factors", "arms x seeds", box=None, pad_edge=False)
    for row in rows:
        factors = ", ".join(f"{name} ({len(levels)})" for name, levels in row["factors"].items())
        table.add_row(row["name"], ", ".join(row["aliases"]), row["reference"], factors, f"{row['arms']} x {row['seeds']}")
    Console().print(table)


@app.command()
def plan(
    names: Names,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    as_json: Json = False,
) -> None:
    """Show what a run would train and evaluate, what the studies share, and what is there already. Starts nothing.

    Example: `advsweep plan 'cifs/*' --profile short --seeds 5`
    """
    made, _ = _plan(names, profile, seeds, settings, storage, retry_failed)
    if as_json:
        trials = [
            {
                "trial": t.key,
                "arms": dict(t.arms),
                "seed": t.config.seed,
                "status": t.recorded.status if t.recorded.epochs else "new",
                "epochs": t.recorded.epochs,
                "evaluations_to_run": len(t.missing),
            }
            for t in made.trials
        ]
        _print_json({**made.counts(), "trials": trials})
        return
    table = RichTable("trial", "arm", "seed", "studies", "there already", "evaluations to run", box=None, pad_edge=False)
    for t in made.trials:
        epochs = f"{min(t.recorded.epochs, t.config.training.epochs)}/{t.config.training.epochs} epochs"
        there = t.recorded.status if t.recorded.status != "unfinished" else epochs
        arm = next(iter(t.arms.values()))
        table.add_row(t.key[:8], arm, str(t.config.seed), ", ".join(t.arms), there, str(len(t.missing)))
    Console().print(table)
    _print_counts(made)


@app.command()
def run(
    names: Names,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    cpus_per_trial: Annotated[float | None, typer.Option(min=0, help="CPU cores a trial; 1 by default.")] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs a trial, fractions too; 1 by default where the cluster has any.")
    ] = None,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at once; as many as fit by default.")] = None,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster: auto, or host:6379.")] = None,
    data_dir: Annotated[str, typer.Option(help="Folder of the data sets, on every node.")] = "data",
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data sets into --data-dir.")] = False,
    no_tracking: Annotated[bool, typer.Option("--no-tracking", help="Leave MLflow to a later `advsweep sync`.")] = False,
) -> None:
    """Train and evaluate what is not there yet, then print the tables. To go on after any stop, run the same command again.

    Example: `advsweep run cifs/robustness --profile demo`
    """
    made, store = _plan(names, profile, seeds, settings, storage, retry_failed)
    _print_counts(made)
    try:
        from orchestrator.sweep import Options, sweep

        options = Options(
            cpus=cpus_per_trial,
            gpus=gpus_per_trial,
            concurrent=max_concurrent,
            address=address,
            data_dir=str(Path(data_dir).expanduser().resolve()),
            download=download,
            tracking=not no_tracking,
        )
        failures = sweep(made, store, options, _tables(storage), out)
    except KeyboardInterrupt:
        raise Interrupted from None
    for manifest in made.manifests:
        out.print()
        _print_table(storage, manifest, "both", "minimum")
    out.print(f"\nMLflow's UI on these runs: advsweep ui{_storage_option(storage)}")
    reasons = failures | {t.key: t.recorded.reason for t in made.failed}
    if reasons:
        first = next(t for t in made.trials if t.key in reasons)
        raise SweepIncomplete(
            f"{len(reasons)} of {len(made.trials)} trials failed ({first.label}: {reasons[first.key]}); "
            "take them up again with --retry-failed"
        )


@app.command()
def status(storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Show what is in the storage: studies, trials by state, and why trials failed.

    Example: `advsweep status --storage ./advsweep-results`
    """
    store = _existing(storage)
    index = store.index(store.trials())
    manifests = store.manifests()
    counts = {state: sum(r.status == state for r in index.values()) for state in ("finished", "unfinished", "failed")}
    names = {key: f"{' '.join(a.labels)} seed {seed}" for m in manifests for a in m.arms for seed, key in a.trials.items()}
    failed = [{"trial": key, "arm": names.get(key, ""), "reason": r.reason} for key, r in index.items() if r.status == "failed"]
    ran: list[dict[str, Any]] = []
    for m in manifests:
        finished = sum(index[key].status == "finished" for key in m.trials if key in index)
        ran.append(
            {"study": m.study, "variant": m.variant, "trials": len(m.trials), "finished": finished, "created": m.created}
        )
    evaluations = sum(len(r.evaluations) for r in index.values())
    if as_json:
        _print_json({"trials": counts, "evaluations": evaluations, "studies": ran, "failed": failed})
        return
    out.print(f"{store.uri}: {', '.join(f'{n} {state}' for state, n in counts.items())} trials, {evaluations} evaluations")
    table = RichTable("study", "variant", "trials finished", "last run", box=None, pad_edge=False)
    for row in ran:
        table.add_row(row["study"], row["variant"], f"{row['finished']}/{row['trials']}", row["created"])
    Console().print(table)
    for trial in failed:
        out.print(f"failed: {trial['trial']} {trial['arm']}: {trial['reason']}", markup=False)


@app.command()
def table(
    name: Annotated[str, typer.Argument(help="A study that was run here: name, alias or pattern.")],
    checkpoint: Annotated[Literal["best", "last", "both"], typer.Option(help="Which checkpoint of each trial.")] = "both",
    form: Annotated[Literal["text", "md", "latex", "csv", "html"], typer.Option("--format", help="How to write it.")] = "text",
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
    over_beta: Annotated[
        Literal["minimum", "per-sample", "each"],
        typer.Option(help="Over beta_atk: minimum of the accuracies, per-sample worst case, or a row for each."),
    ] = "minimum",
    profile: Annotated[Literal["paper", "short", "demo"] | None, typer.Option(help="The newest run by default.")] = None,
    storage: Storage = STORAGE,
) -> None:
    """Print a study's table from what is in the storage.

    Example: `advsweep table cifs/robustness --format latex --output table.tex`
    """
    texts = []
    for manifest in _manifests(storage, name, profile):
        if form == "text" and output is None:
            _print_table(storage, manifest, checkpoint, over_beta)
        else:
            texts.append(_render(storage, manifest, checkpoint, over_beta)[form])
    if output is not None:
        try:
            output.write_text("\n".join(texts), encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
    elif texts:
        sys.stdout.write("\n".join(texts) + "\n")


@app.command()
def sync(storage: Storage = STORAGE) -> None:
    """Bring MLflow up to the record: after a crash, a server that was down, or a run with --no-tracking.

    Example: `advsweep sync`
    """
    uri, written = _sync(storage)
    out.print(f"{uri}: {written} runs brought up to date")


@app.command()
def ui(
    storage: Storage = STORAGE,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's UI on this storage, on 127.0.0.1, after bringing it up to the record.

    Example: `advsweep ui --port 5001`
    """
    uri, _ = _sync(storage)
    if uri.startswith("http"):
        out.print(f"MLflow's UI: {uri}")
        return
    out.print(f"MLflow's UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    raise typer.Exit(subprocess.call(command))


def _find(patterns: Sequence[str]) -> tuple[Any, ...]:
    """The catalogue's studies of these names, each once."""
    from search_spaces.catalog import UnknownStudy, find

    try:
        return tuple({study.name: study for pattern in patterns for study in find(pattern)}.values())
    except UnknownStudy as error:
        raise BadInput(str(error)) from error


def _plan(names: list[str], profile: str, seeds: int | None, settings: list[str] | None, storage: str, retry: bool) -> Any:
    from orchestrator.plan import plan as make
    from orchestrator.settings import parse
    from orchestrator.store import Store

    made = make(_find(names), profile, seeds=seeds, overrides=parse(settings or []), retry_failed=retry)
    store = Store(storage)
    try:
        return made.against(store.index(t.key for t in made.trials)), store
    except OSError as error:
        raise Unavailable(f"--storage {storage!r} cannot be read: {str(error).splitlines()[0]}") from error


def _existing(storage: str) -> Any:
    from orchestrator.store import Store

    store = Store(storage)
    if not store.exists():
        raise Unavailable(f"--storage {storage!r}: there is nothing yet; `advsweep run` makes it")
    return store


def _sync(storage: str) -> tuple[str, int]:
    """MLflow's URI, and how many runs had to be brought up to the record."""
    from orchestrator import tracking

    store = _existing(storage)
    uri = tracking.default_uri(store)
    view = tracking.View(tracking.connect(uri), store)
    return uri, view.sync(live=None if store.held("run") else ()) + view.sync_tables(_tables(storage))


def _manifests(storage: str, pattern: str, profile: str | None) -> list[Any]:
    """The studies of this pattern that were run on the storage, the newest variant of each."""
    from analysis.load import BrokenRecordError, ManifestNotFoundError, find_manifest
    from analysis.load import manifests as every

    _existing(storage)
    try:
        if any(c in pattern for c in "*?["):
            wanted = {study.name for study in _find([pattern])} & {m.study for m in every(storage)}
            if not wanted:
                raise BadInput(f"no study of {pattern!r} was run on {storage!r} yet; run it with `advsweep run {pattern}`")
            return [find_manifest(storage, name, profile) for name in sorted(wanted)]
        return [find_manifest(storage, pattern, profile)]
    except ManifestNotFoundError as error:
        _find([pattern])  # a name that is no study at all deserves its own error
        raise BadInput(str(error)) from error
    except BrokenRecordError as error:
        raise Unavailable(str(error)) from error


def _build(storage: str, manifest: Any, checkpoint: Any, over_beta: Any) -> Any:
    from analysis.load import BrokenRecordError, load
    from analysis.tables import build

    try:
        return build(load(storage, manifest.trials), manifest, checkpoint=checkpoint, over_beta=over_beta)
    except BrokenRecordError as error:
        raise Unavailable(str(error)) from error


def _print_table(storage: str, manifest: Any, checkpoint: str, over_beta: str) -> None:
    from analysis.render import to_rich, to_text

    made = _build(storage, manifest, checkpoint, over_beta)
    if out.is_terminal:
        Console().print(to_rich(made))
    else:
        sys.stdout.write(to_text(made))


def _tables(storage: str) -> Any:
    """How MLflow gets a study's table: a function from its manifest to files."""
    names = {"html": "table.html", "md": "table.md", "latex": "table.tex", "csv": "table.csv"}
    return lambda manifest: {names[f]: t for f, t in _render(storage, manifest, "both", "minimum").items() if f in names}


def _render(storage: str, manifest: Any, checkpoint: str, over_beta: str) -> dict[str, str]:
    from analysis import render

    made = _build(storage, manifest, checkpoint, over_beta)
    return {
        "text": render.to_text(made),
        "md": render.to_markdown(made),
        "latex": render.to_latex(made),
        "csv": render.to_csv(made),
        "html": render.to_html(made),
    }


def _print_counts(made: Any) -> None:
    n = made.counts()
    shared = n["trials_requested"] - n["trials_unique"]
    out.print(
        f"{n['trials_requested']} trials asked for, {n['trials_unique']} after sharing ({shared} shared): "
        f"{n['trials_cached']} there already, {n['trials_to_run']} to train; {n['evaluations_to_run']} evaluations to run"
        + (f"; {n['trials_failed']} failed before (--retry-failed takes them up again)" if n["trials_failed"] else ""),
        highlight=False,
    )


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _storage_option(storage: str) -> str:
    return "" if storage == STORAGE else f" --storage {shlex.quote(storage)}"


def main() -> None:
    """The entry point: every error that a user can cause is one line on stderr, and an exit code."""
    terminate_as_interrupt()
    try:
        app()
    except AdvsweepError as error:
        err.print(f"advsweep: {error}", style="red", markup=False, highlight=False)
        sys.exit(error.exit_code)
