"""Commands that look: at the catalogue, and at what a storage holds."""

import re
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table as RichTable

from analysis.schema import Status
from orchestrator.cli.options import (
    STORAGE,
    Json,
    Name,
    NewestProfile,
    Optuna,
    ProfileOption,
    Storage,
    StudyFiles,
    existing_store,
    find_manifests,
    find_studies,
    out,
    print_json,
)
from orchestrator.cli.tables import build_table, numbers_of, print_table, render, tables_of
from orchestrator.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from orchestrator.record.store import Store


def studies(
    pattern: Annotated[str, typer.Argument(help="A name, an alias, or a pattern such as 'cifs/*'.")] = "*",
    profile: ProfileOption = "paper",
    study_file: StudyFiles = None,
    as_json: Json = False,
) -> None:
    """List the studies: what they vary, and how many trainings they ask for.

    Example: `advsweep studies 'cifs/*'`
    """
    from search_spaces.catalog import OUT

    rows: list[dict[str, Any]] = []
    for study in find_studies([pattern], study_file):
        at = study.profiles.get(profile) or next(iter(study.profiles.values()))  # one's own study may have fewer
        rows.append(
            {
                "name": study.name,
                "aliases": list(study.aliases),
                "paper": study.paper,
                "reference": study.reference,
                "title": study.title,
                "factors": {f.name: [level.label for level in f.levels] for f in study.varied(at)},
                "columns": list(dict.fromkeys(c.label for arm in study.arms(at) for c in study.columns_of(arm, at))),
                "arms": len(study.arms(at)),
                "seeds": at.seeds,
            }
        )
    if as_json:
        print_json(rows)
        return
    table = RichTable("name", "alias", "paper", "factors", "arms x seeds", box=None, pad_edge=False)
    for row in rows:
        factors = ", ".join(f"{name} ({len(levels)})" for name, levels in row["factors"].items())
        table.add_row(row["name"], ", ".join(row["aliases"]), row["reference"], factors, f"{row['arms']} x {row['seeds']}")
    Console().print(table)
    for name, reason in OUT.items():
        if fnmatchcase(name, pattern):
            out.print(f"left out: {name}, {reason}", markup=False, highlight=False)


def status(storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Show what is in the storage: studies, trials by state, and why trials failed.

    Example: `advsweep status --storage ./advsweep-results`
    """
    store = existing_store(storage)
    index = store.index(store.trials())
    manifests = store.manifests()
    counts = {status.value: sum(r.status == status for r in index.values()) for status in Status}
    names = {key: label for m in manifests for key, label in m.beside.items()}
    names |= {key: f"{' '.join(a.labels)} seed {seed}" for m in manifests for a in m.arms for seed, key in a.trials.items()}
    failed = [
        {"trial": key, "arm": names.get(key, ""), "reason": r.reason} for key, r in index.items() if r.status == Status.FAILED
    ]
    ran: list[dict[str, Any]] = []
    for m in manifests:
        finished = sum(index[key].status == Status.FINISHED for key in m.trials if key in index)
        ran.append(
            {"study": m.study, "variant": m.variant, "trials": len(m.trials), "finished": finished, "created": m.created}
        )
    evaluations = sum(len(r.evaluations) for r in index.values())
    if as_json:
        print_json({"trials": counts, "evaluations": evaluations, "studies": ran, "failed": failed})
        return
    out.print(f"{store.uri}: {', '.join(f'{n} {state}' for state, n in counts.items())} trials, {evaluations} evaluations")
    table = RichTable("study", "variant", "trials finished", "last run", box=None, pad_edge=False)
    for row in ran:
        table.add_row(row["study"], row["variant"], f"{row['finished']}/{row['trials']}", row["created"])
    Console().print(table)
    for trial in failed:
        out.print(f"failed: {trial['trial']} {trial['arm']}: {trial['reason']}", markup=False)


def table(
    name: Name,
    checkpoint: Annotated[Literal["best", "last", "both"], typer.Option(help="Which checkpoint of each trial.")] = "both",
    form: Annotated[Literal["text", "md", "latex", "csv", "html"], typer.Option("--format", help="How to write it.")] = "text",
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
    over_beta: Annotated[
        Literal["minimum", "per-sample", "each"],
        typer.Option(help="Over beta_atk: minimum of the accuracies, per-sample worst case, or a row for each."),
    ] = "minimum",
    profile: NewestProfile = None,
    storage: Storage = STORAGE,
) -> None:
    """Print a study's table from what is in the storage.

    Example: `advsweep table cifs/robustness --format latex --output table.tex`
    """
    texts = []
    for manifest in find_manifests(storage, name, profile):
        if form == "text" and output is None:
            print_table(storage, manifest, checkpoint, over_beta)
        else:
            texts.append(render(build_table(storage, manifest, checkpoint, over_beta), form))
    if output is not None:
        try:
            output.write_text("\n".join(texts), encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
    elif texts:
        sys.stdout.write("\n".join(texts) + "\n")


def figure(
    name: Name,
    output: Annotated[Path | None, typer.Option(help="Folder for a CSV file of each part; without it they are listed.")] = None,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of each trial.")] = "last",
    profile: NewestProfile = None,
    storage: Storage = STORAGE,
) -> None:
    """Give a figure's data: what a study shows by epoch, and its measures' arrays, a row for every value.

    Example: `advsweep figure cifs/figure-4 --output figures`
    """
    from analysis.figures import frames
    from analysis.load import load

    for manifest in find_manifests(storage, name, profile):
        found = frames(load(storage, manifest.trials), manifest, checkpoint)
        if not found:
            out.print(f"{manifest.study}: all that it shows is in its table: `advsweep table {manifest.study}`")
        for title, frame in found.items():
            where = f"{manifest.study}, {title}: {len(frame):,} values"
            if output is not None:
                file = output / f"{slug(manifest.study)}-{slug(title)}.csv"
                try:
                    output.mkdir(parents=True, exist_ok=True)
                    frame.to_csv(file, index=False)
                except OSError as error:
                    raise BadInput(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
                where += f" in {file}"
            out.print(where, markup=False, highlight=False)


def slug(text: str) -> str:
    """A title as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def sync(storage: Storage = STORAGE, optuna: Optuna = None) -> None:
    """Bring MLflow and Optuna up to the record: after a crash, a server that was down, or a run with --no-tracking.

    Example: `advsweep sync --optuna sqlite:///studies.db`
    """
    store, refused = existing_store(storage), []
    for bring_up in (_sync_mlflow, partial(_sync_optuna, url=optuna)):
        try:  # one that cannot be reached does not hold up the other
            uri, written = bring_up(store)
            out.print(f"{uri}: {written}", markup=False, highlight=False)
        except Unavailable as error:
            refused.append(str(error))
    if refused:
        raise Unavailable("; ".join(refused))


def ui(
    storage: Storage = STORAGE,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's UI on this storage, on 127.0.0.1, after bringing it up to the record.

    Example: `advsweep ui --port 5001`
    """
    uri, _ = _sync_mlflow(existing_store(storage))
    if uri.startswith("http"):
        out.print(f"MLflow's UI: {uri}")
        return
    out.print(f"MLflow's UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    raise typer.Exit(subprocess.call(command))


def _sync_mlflow(store: "Store") -> tuple[str, str]:
    """MLflow's URI, and what had to be brought up to the record."""
    from orchestrator.tracking import mlflow_view

    uri = mlflow_view.default_uri(store)
    view = mlflow_view.View(mlflow_view.connect(uri), store)
    written = view.sync(live=None if store.held("run") else ()) + view.sync_tables(tables_of(store.uri))
    return uri, f"{written} runs brought up to date"


def _sync_optuna(store: "Store", url: str | None) -> tuple[str, str]:
    """Where Optuna's studies are, and what had to be told."""
    from analysis.load import BrokenRecordError
    from orchestrator.tracking.optuna_storage import default_url, open_storage
    from orchestrator.tracking.optuna_view import OptunaView

    url = url or default_url(store)
    if url is None:
        return "Optuna", "not told, for its journal cannot lie in a remote storage; name a place with --optuna"
    try:
        told = OptunaView(open_storage(url), store, numbers_of(store.uri)).sync(live=None)
    except BrokenRecordError as error:
        raise Unavailable(str(error)) from error
    return url, f"{told} trials told to Optuna"
