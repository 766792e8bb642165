"""Commands that show the catalogue, a storage's contents, and the views of MLflow and Optuna."""

import errno
import os
import shlex
import socket
import sys
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal

from orchestrator.api.terms import STORAGE, ProfileName, storage_option
from orchestrator.cli.options import Json, NewestProfile, Optuna, ProfileOption, Storage, StudyFiles
from orchestrator.cli.printing import Printer, out, print_columns, print_json
from orchestrator.errors import Unavailable
from orchestrator.signals import run_group

if TYPE_CHECKING:
    from search_spaces.study import Study


def studies(
    pattern: Annotated[str, typer.Argument(help="A name, an alias, or a pattern such as 'cifs/*'.")] = "*",
    profile: ProfileOption = "paper",
    study_file: StudyFiles = None,
    as_json: Json = False,
) -> None:
    """List studies with their factors and their numbers of arms and seeds.

    Example: `advsweep studies 'cifs/*'`
    """
    from orchestrator.authoring.study_files import find_studies
    from search_spaces.catalog import OUT

    rows = [_described(study, profile) for study in find_studies([pattern], study_file or ())]
    if as_json:
        print_json(rows)
        return
    lines = []
    for row in rows:
        factors = ", ".join(f"{name} ({len(levels)})" for name, levels in row["factors"].items())
        lines.append((row["name"], ", ".join(row["aliases"]), row["reference"], factors, f"{row['arms']} x {row['seeds']}"))
    print_columns(("name", "alias", "paper", "factors", "arms x seeds"), lines)
    for name, reason in OUT.items():
        if fnmatchcase(name, pattern):
            out.print(f"left out: {name}, {reason}", markup=False, highlight=False)


def _described(study: "Study", profile: str) -> dict[str, Any]:
    at = study.profiles.get(profile) or next(iter(study.profiles.values()))  # a study from a file may have fewer
    return {
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


def status(
    name: Annotated[
        str | None, typer.Argument(help="A study that was run here: list the checkpoint of each row's best seed instead.")
    ] = None,
    profile: NewestProfile = None,
    storage: Storage = STORAGE,
    as_json: Json = False,
) -> None:
    """Show the contents of a storage: studies, trials by state, cost and sizes, who runs trials now, and what failed and why.

    The size of a study is that of its trials, which other studies may share; `advsweep du` says more.

    Example: `advsweep status --storage ./advsweep-results`

    Example: `advsweep status cifs/robustness`
    """
    if name is not None:
        _print_checkpoints(name, profile, storage, as_json)
        return
    from orchestrator.api.records import existing_store
    from orchestrator.api.records import status as count

    found = count(storage)
    if as_json:
        print_json(vars(found))
        return
    from orchestrator.cost.estimate import hours_text

    states = ", ".join(f"{n} {state}" for state, n in found.trials.items())
    out.print(f"{existing_store(storage).uri}: {states} trials, {found.evaluations} evaluations")
    out.print(f"{hours_text(found.hours)} device-hours so far, {decimal(found.size)}", highlight=False)
    for driver in found.running:
        out.print(f"running now: {driver}", markup=False, highlight=False)
    rows = []
    for row in found.studies:
        finished = f"{row['finished']}/{row['trials']}"
        cost = hours_text(row["hours"]), decimal(row["bytes"])
        rows.append((row["study"], row["variant"], finished, *cost, row["created"]))
    print_columns(("study", "variant", "trials finished", "device-hours", "size", "last run"), rows)
    for row in found.studies:
        variant = shlex.quote(row["variant"])
        out.print(f"advsweep table {row['study']} --variant {variant}{storage_option(storage)}", markup=False, highlight=False)
    for trial in found.failed:
        out.print(f"failed: {trial['trial']} {trial['arm']}: {trial['reason']}", markup=False)
    for one in found.failed_evaluations:
        out.print(f"failed: {one['trial']} {one['arm']}, {one['evaluation']}: {one['reason']}", markup=False)


def _print_checkpoints(name: str, profile: ProfileName | None, storage: str, as_json: bool) -> None:
    from orchestrator.api.tables import checkpoints

    found = checkpoints(name, profile=profile, storage=storage)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    rows = []
    for each in found:
        known = str(each.seed), str(each.trial)[:8], str(each.epoch), each.path or "not in this storage"
        rows.append((" ".join(each.labels), each.checkpoint, *(known if each.trial else ("", "", "", "no seed is finished"))))
    print_columns(("row", "checkpoint", "best seed", "trial", "epoch", "weights"), rows)


def compact(storage: Storage = STORAGE) -> None:
    """Copy the rows of many trials' files to few segments, so that tables of many trials are made fast.

    A run does it by itself at its end where many files are left. Nothing depends on it but time.

    Example: `advsweep compact --storage ./advsweep-results`
    """
    from orchestrator.api import records

    done = records.compact(storage)
    out.print(f"{done.written} segments written, {done.deleted} deleted", markup=False, highlight=False)


def doctor(storage: Storage = STORAGE) -> None:
    """Verify every file of a storage, and list what is damaged, orphaned, half-written or doubled, with what mends it.

    Changes nothing. The exit code is 1 if something is damaged.

    Example: `advsweep doctor --storage ./advsweep-results`
    """
    from orchestrator.api import records

    found = records.doctor(storage)
    for line in (*found.findings, found):
        out.print(str(line), markup=False, highlight=False)
    if found.damaged:
        raise typer.Exit(1)


def sync(storage: Storage = STORAGE, optuna: Optuna = None) -> None:
    """Update MLflow and Optuna from the record: after a crash, a server that was down, or a run with --no-tracking.

    Example: `advsweep sync --optuna sqlite:///studies.db`
    """
    from orchestrator.api import views

    views.sync(storage, optuna=optuna, observer=Printer())


def ui(
    storage: Storage = STORAGE,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Update MLflow from the record of a storage, and open its UI on 127.0.0.1. The server ends with this command.

    Example: `advsweep ui --port 5001`
    """
    from orchestrator.api import records, views

    store = records.existing_store(storage)
    if not os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http"):
        _check_port(port)
    uri = views.sync_mlflow(store).place
    if uri.startswith("http"):
        out.print(f"MLflow's UI: {uri}")
        return
    out.print(f"MLflow's UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    raise typer.Exit(run_group(command))


def _check_port(port: int) -> None:
    """Check that a server can be started on a port of 127.0.0.1.

    Raises:
        Unavailable: another process has it, or this user may not.
    """
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            why = "is in use by another process" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise Unavailable(f"--port {port} {why}; name another one") from error
