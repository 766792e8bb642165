"""MLflow as a view of the record, updated from it at any time.

A run is found by its trial's key, and everything that is written carries the record's times. So writing it again changes
nothing, and an update that was interrupted anywhere is completed by the next :meth:`MlflowView.sync`.
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

from analysis.record.fields import flatten
from analysis.record.manifest import Manifest
from analysis.record.schema import Status
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_metrics import epoch_metrics, evaluation_metrics, measure_metrics, milliseconds

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

#: The most metrics and parameters that MLflow takes in one batch.
METRICS, PARAMS = 1000, 100

#: Renders a study's table from its manifest: a file's name to its text.
Tables = Callable[[Manifest], Mapping[str, str]]

#: Names of a run's tags.
TRIAL_TAG, STUDIES_TAG, STUDY_TAG, SYNCED_TAG = "advsweep.trial", "advsweep.studies", "advsweep.study", "advsweep.synced"

#: The status of a run in MLflow, by that of a trial that is not running.
RUN_STATUS = {
    Status.UNFINISHED: "KILLED",
    Status.EARLY_STOPPED: "KILLED",
    Status.FINISHED: "FINISHED",
    Status.FAILED: "FAILED",
}

#: Tags of an experiment, for which MLflow's UI opens its pages for training and not those for language models.
TRAINING = {"mlflow.experimentKind": "custom_model_development"}


def default_uri(store: Store) -> str:
    """Return ``MLFLOW_TRACKING_URI``, or a SQLite database in the storage (if that is remote, in the working directory)."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    return f"sqlite:///{store.root if store.local else Path.cwd()}/mlflow.db"


def connect(uri: str) -> MlflowClient:
    """Connect to a tracking server or a SQLite database, which is created if it does not exist.

    Raises:
        Unavailable: nothing answers at ``uri``.
    """
    try:
        if uri.startswith("sqlite:///"):
            _make(Path(uri.removeprefix("sqlite:///").partition("?")[0]))
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # every database driver has its own errors; what the user can do is the same
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Unavailable(
            f"MLFLOW_TRACKING_URI={uri!r} cannot be reached: {reason}; "
            "start that server, unset the variable, or add --no-tracking and run `advsweep sync` later"
        ) from error
    return client


def _make(database: Path) -> None:
    """Create a SQLite database atomically: MLflow takes seconds to create its tables, and cannot continue with half of them."""
    if database.exists():
        return
    temporary = database.with_name(f".{database.name}.{uuid.uuid4().hex}.tmp")
    MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
    with suppress(FileExistsError):  # another process was faster
        os.link(temporary, database)
    temporary.unlink()


class MlflowView:
    """Updates MLflow's runs from the record.

    One process at a time, by a lock in the storage: two would both find no run, and both create one.
    """

    name = "MLflow"

    def __init__(self, client: MlflowClient, store: Store) -> None:
        self._client = client
        self._store = store
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, _Run] = {}
        self._current = False

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Update the runs of trials.

        Args:
            live: keys of the trials that are running now; every other unfinished one is shown as KILLED. None if another
                process runs them: unfinished ones are shown as RUNNING.
            only: keys of the trials to update; None for all, after a new search for their runs.

        Returns:
            the number of runs that were written.
        """
        with self._store.exclusively("sync", timeout=120, part="mlflow"):
            manifests = self._store.manifests()
            arms = _arms(manifests)
            if only is None or not self._current:
                self._find_runs(sorted({m.study.split("/")[0] for m in manifests}))
            if only is None:
                # Runs of trials that are in no manifest any more (fewer seeds, say) must not stay RUNNING either.
                arms = {key: {} for key in self._runs.keys() & set(self._store.trials())} | arms
            # A call that fails may have taken effect: then the next update searches for the runs again.
            self._current = False
            keys = arms.keys() if only is None else arms.keys() & set(only)
            written = sum(self._show(key, arms[key], live) for key in sorted(keys))
            self._current = True
            return written

    def sync_tables(self, tables: Tables) -> int:
        """Update the studies' tables, as files of one run for each study.

        Returns:
            the number of tables that were written.
        """
        with self._store.exclusively("sync", timeout=120, part="mlflow"):
            return sum(self._show_table(manifest, tables(manifest)) for manifest in self._store.manifests())

    def _show_table(self, manifest: Manifest, files: Mapping[str, str]) -> bool:
        """Write a study's table to its run in the paper's experiment; return False if the same files are there already."""
        experiment = self.experiment(manifest.study.split("/")[0])
        name = manifest.full_name
        digest = hashlib.sha256(json.dumps(dict(files)).encode()).hexdigest()[:16]
        found = list(self._client.search_runs([experiment], f"tags.`{STUDY_TAG}` = '{name}'"))
        run = found[0] if found else self._client.create_run(experiment, run_name=f"table: {name}", tags={STUDY_TAG: name})
        for double in found[1:]:
            self._client.delete_run(double.info.run_id)
        if run.data.tags.get(SYNCED_TAG) == digest:
            return False
        for file, text in files.items():
            self._client.log_text(run.info.run_id, text, file)
        self._client.set_terminated(run.info.run_id, "FINISHED")
        self._client.set_tag(run.info.run_id, SYNCED_TAG, digest)
        return True

    def experiment(self, paper: str) -> str:
        """Return the id of a paper's experiment, which is created if it does not exist."""
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
        """Update a trial's run from the record; return False if there is nothing new."""
        row = self._store.read_trial(key)
        if row is None:
            return False
        epochs = self._store.read_epochs(key)
        evaluations = [e for e in self._store.read_evaluations(key) if e["head"] == "final"]
        measures = self._store.read_measures(key)
        running = row["status"] == Status.UNFINISHED if live is None else key in live
        status = "RUNNING" if running else RUN_STATUS[row["status"]]
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
        tags |= {STUDIES_TAG: ", ".join(arms), "advsweep.versions": row["versions"], "advsweep.device": row["device"]}
        tags["advsweep.reason"] = row["reason"]
        self._client.log_batch(run.id, tags=[RunTag(name, value) for name, value in tags.items()])
        if running:
            self._client.update_run(run.id, status=status)
        else:
            self._client.set_terminated(run.id, status, end_time=milliseconds(row["updated"]))
        # Last, so that a run that was written partly is written again.
        self._client.set_tag(run.id, SYNCED_TAG, digest)
        self._runs[key] = replace(run, synced=digest)
        return True

    def _create(self, key: str, arms: Mapping[str, str], row: Mapping[str, Any]) -> "_Run":
        """Create a trial's run, in the experiment of the first study that has the trial."""
        study, arm = next(iter(arms.items()))
        created = self._client.create_run(
            self.experiment(study.split("/")[0]),
            start_time=milliseconds(row["created"]),
            tags={TRIAL_TAG: key},
            run_name=f"{arm} seed {row['seed']}",
        )
        self._runs[key] = _Run(key, created.info.run_id, "")
        return self._runs[key]

    def _find_runs(self, papers: list[str]) -> None:
        """Find the trials' runs; of two that a repeated call created for one trial, delete the emptier one."""
        self._runs = {}
        runs = self._search([self.experiment(paper) for paper in papers])
        for run in sorted(runs, key=lambda run: not run.synced):
            if run.trial in self._runs:
                self._client.delete_run(run.id)
            else:
                self._runs[run.trial] = run

    def _search(self, experiments: list[str]) -> Iterator["_Run"]:
        """Yield every run of a trial in these experiments."""
        token = None
        while experiments:
            page = self._client.search_runs(experiments, f"tags.`{TRIAL_TAG}` != ''", max_results=1000, page_token=token)
            for run in page:
                yield _Run(run.data.tags[TRIAL_TAG], run.info.run_id, run.data.tags.get(SYNCED_TAG, ""))
            if not (token := page.token):
                return


@dataclass(frozen=True)
class _Run:
    """A trial's run in MLflow, and a digest of what it shows ("" if it was never written completely)."""

    trial: str
    id: str
    synced: str


def _arms(manifests: Iterable[Manifest]) -> dict[str, dict[str, str]]:
    """Return, by trial and by study, the label of the trial's arm."""
    arms: dict[str, dict[str, str]] = {}
    for manifest in manifests:
        for key, label in manifest.labels.items():
            arms.setdefault(key, {})[manifest.study] = label
    return arms


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
