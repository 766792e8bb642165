"""MLflow: a view of the record, brought up to date from it at any time.

A run is found by its trial's key, never by memory, and everything written carries the record's own times; so to write it
again changes nothing, and a view that was interrupted anywhere is completed by the next :meth:`View.sync`.
"""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from analysis.manifest import Manifest
from analysis.schema import Status
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store, flatten
from orchestrator.tracking.mlflow_metrics import epoch_metrics, evaluation_metrics, measure_metrics, milliseconds

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

#: MLflow's limits for one batch.
METRICS, PARAMS = 1000, 100

#: A study's table as files: name to text.
Tables = Callable[[Manifest], Mapping[str, str]]

#: Tags of a run.
TRIAL, STUDIES, STUDY, SYNCED = "advsweep.trial", "advsweep.studies", "advsweep.study", "advsweep.synced"

#: How MLflow calls what a trial that is not running is.
SHOWN = {
    Status.UNFINISHED: "KILLED",
    Status.EARLY_STOPPED: "KILLED",
    Status.FINISHED: "FINISHED",
    Status.FAILED: "FAILED",
}

#: Opens an experiment in the UI's pages for training rather than those for language models.
TRAINING = {"mlflow.experimentKind": "custom_model_development"}


def default_uri(store: Store) -> str:
    """``MLFLOW_TRACKING_URI``, or a SQLite database in the storage (in this folder, where the storage is remote)."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    return f"sqlite:///{store.root if store.local else Path.cwd()}/mlflow.db"


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server or database, which is made if it is not there.

    Raises:
        Unavailable: nothing answers at ``uri``.
    """
    try:
        if uri.startswith("sqlite:///"):
            _make(Path(uri.removeprefix("sqlite:///").partition("?")[0]))
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # whatever the store's driver raises, the user's next step is the same
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Unavailable(
            f"MLFLOW_TRACKING_URI={uri!r} cannot be reached: {reason}; "
            "start that server, unset the variable, or add --no-tracking and run `advsweep sync` later"
        ) from error
    return client


def _make(database: Path) -> None:
    """Make a SQLite database, whole or not at all: MLflow takes seconds for its tables, and cannot go on from half of them."""
    if database.exists():
        return
    temporary = database.with_name(f".{database.name}.{uuid.uuid4().hex}.tmp")
    MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
    with suppress(FileExistsError):  # another process was faster
        os.link(temporary, database)
    temporary.unlink()


class View:
    """The runs that MLflow has, and the record written onto them.

    One writer at a time (a lock in the storage), or two would both find no run and both make one.
    """

    name = "MLflow"

    def __init__(self, client: MlflowClient, store: Store) -> None:
        self._client = client
        self._store = store
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, _Run] = {}
        self._current = False

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Bring MLflow up to the record.

        ``live``: trials that are running now; every other unfinished one is shown as KILLED. None where another process
        runs them: unfinished ones are then left RUNNING. ``only``: trials to look at; None for all, the runs looked up anew.

        Returns:
            the number of runs that were written.
        """
        with self._store.exclusively("sync", timeout=120, part="mlflow"):
            manifests = self._store.manifests()
            arms = _arms(manifests)
            if only is None or not self._current:
                self._look_up(sorted({m.study.split("/")[0] for m in manifests}))
            if only is None:
                # A run of trials that no manifest has any more (fewer seeds, say) must not stay RUNNING either.
                arms = {key: {} for key in self._runs.keys() & set(self._store.trials())} | arms
            # What becomes of a call that gets no answer is unknown: the next turn looks the runs up anew.
            self._current = False
            keys = arms.keys() if only is None else arms.keys() & set(only)
            written = sum(self._show(key, arms[key], live) for key in sorted(keys))
            self._current = True
            return written

    def sync_tables(self, tables: Tables) -> int:
        """Bring the studies' tables up to the record.

        Returns:
            the number of tables that were written.
        """
        with self._store.exclusively("sync", timeout=120, part="mlflow"):
            return sum(self._show_table(manifest, tables(manifest)) for manifest in self._store.manifests())

    def _show_table(self, manifest: Manifest, files: Mapping[str, str]) -> bool:
        """Put a study's table on the one run that stands for the study in its paper's experiment; False if it is there."""
        experiment = self.experiment(manifest.study.split("/")[0])
        name = manifest.full_name
        digest = hashlib.sha256(json.dumps(dict(files)).encode()).hexdigest()[:16]
        found = list(self._client.search_runs([experiment], f"tags.`{STUDY}` = '{name}'"))
        run = found[0] if found else self._client.create_run(experiment, run_name=f"table: {name}", tags={STUDY: name})
        for double in found[1:]:
            self._client.delete_run(double.info.run_id)
        if run.data.tags.get(SYNCED) == digest:
            return False
        for file, text in files.items():
            self._client.log_text(run.info.run_id, text, file)
        self._client.set_terminated(run.info.run_id, "FINISHED")
        self._client.set_tag(run.info.run_id, SYNCED, digest)
        return True

    def experiment(self, paper: str) -> str:
        """The experiment of a paper, made if it is not there."""
        if paper not in self._experiments:
            found = self._client.get_experiment_by_name(paper)
            if found is None:
                local = self._client.tracking_uri.startswith("sqlite") and self._store.local
                artifacts = f"{self._store.root}/mlflow-artifacts/{paper}" if local else None
                self._experiments[paper] = self._client.create_experiment(paper, artifacts, TRAINING)
            else:
                self._experiments[paper] = found.experiment_id
        return self._experiments[paper]

    def _show(self, key: str, arms: Mapping[str, str], live: Collection[str] | None) -> bool:
        """Write what the record holds of a trial and its run does not; False if that is nothing."""
        row = self._store.read_trial(key)
        if row is None:
            return False
        epochs = self._store.read_epochs(key)
        evaluations = [e for e in self._store.read_evaluations(key) if e["head"] == "final"]
        measures = self._store.read_measures(key)
        running = row["status"] == Status.UNFINISHED if live is None else key in live
        status = "RUNNING" if running else SHOWN[row["status"]]
        known = sorted({*(e["evaluation"] for e in evaluations), *(m["measurement"] for m in measures)})
        state = [status, row["reason"], len(epochs), known, sorted(arms.items())]
        digest = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]
        run = self._runs.get(key) or self._create(key, arms, row)
        if run.synced == digest:
            return False

        if not run.synced:
            params = [Param(name, str(value)) for name, value in flatten(json.loads(row["config"])).items()]
            for batch in _batches(params, PARAMS):
                self._client.log_batch(run.id, params=batch)
            self._client.log_dict(run.id, json.loads(row["config"]), "config.json")
        metrics = [*epoch_metrics(epochs), *evaluation_metrics(evaluations), *measure_metrics(measures)]
        for batch in _batches(metrics, METRICS):
            self._client.log_batch(run.id, metrics=batch)
        tags = {f"advsweep.arm.{study}": arm for study, arm in arms.items()}
        tags |= {STUDIES: ", ".join(arms), "advsweep.versions": row["versions"], "advsweep.device": row["device"]}
        tags["advsweep.reason"] = row["reason"]
        self._client.log_batch(run.id, tags=[RunTag(name, value) for name, value in tags.items()])
        if running:
            self._client.update_run(run.id, status=status)
        else:
            self._client.set_terminated(run.id, status, end_time=milliseconds(row["updated"]))
        # Last, so that a run that was written halfway is written again.
        self._client.set_tag(run.id, SYNCED, digest)
        self._runs[key] = replace(run, synced=digest)
        return True

    def _create(self, key: str, arms: Mapping[str, str], row: Mapping[str, Any]) -> "_Run":
        study, arm = next(iter(arms.items()))
        created = self._client.create_run(
            self.experiment(study.split("/")[0]),
            start_time=milliseconds(row["created"]),
            tags={TRIAL: key},
            run_name=f"{arm} seed {row['seed']}",
        )
        self._runs[key] = _Run(key, created.info.run_id, "")
        return self._runs[key]

    def _look_up(self, papers: list[str]) -> None:
        """Find the trials' runs. Where a call that was answered too late was made twice, a trial has two: an empty one goes."""
        self._runs = {}
        runs = self._search([self.experiment(paper) for paper in papers])
        for run in sorted(runs, key=lambda run: not run.synced):
            if run.trial in self._runs:
                self._client.delete_run(run.id)
            else:
                self._runs[run.trial] = run

    def _search(self, experiments: list[str]) -> Iterator["_Run"]:
        """Every run of a trial in these experiments."""
        token = None
        while experiments:
            page = self._client.search_runs(experiments, f"tags.`{TRIAL}` != ''", max_results=1000, page_token=token)
            for run in page:
                yield _Run(run.data.tags[TRIAL], run.info.run_id, run.data.tags.get(SYNCED, ""))
            if not (token := page.token):
                return


@dataclass(frozen=True)
class _Run:
    """A trial's run, and a digest of what it shows ("" if it was never written to the end)."""

    trial: str
    id: str
    synced: str


def _arms(manifests: Iterable[Manifest]) -> dict[str, dict[str, str]]:
    """For each trial, the label of its arm in every study that has it."""
    arms: dict[str, dict[str, str]] = {}
    for manifest in manifests:
        for key, label in manifest.labels.items():
            arms.setdefault(key, {})[manifest.study] = label
    return arms


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
