"""MLflow as a view of the record, updated from it at any time.

A run is found by its trial's key, and everything that is written carries the record's times. So writing it again changes
nothing, and an update that was interrupted anywhere is completed by the next :meth:`MlflowView.sync`.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from analysis.record.fields import flatten
from analysis.record.manifest import Manifest
from analysis.record.schema import Status
from orchestrator.errors import one_line
from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_database import connect_own, is_damage, own_database, replace_damaged
from orchestrator.tracking.mlflow_metrics import as_name, epoch_metrics, evaluation_metrics, measure_metrics, milliseconds
from orchestrator.tracking.mlflow_runs import NAME, SYNCED_TAG, Experiments, Run, only_runs
from orchestrator.tracking.mlflow_tables import TableRuns, Tables
from orchestrator.tracking.trial_rows import TrialRows, read_trials, state_of

#: The most metrics, parameters and tags of a batch; MLflow takes 1,000, 100 and 100, and 1,000 of all together.
_METRICS, _PARAMS, _TAGS = 800, 100, 99

#: The most characters of a parameter and a tag.
_PARAM, _TAG = 6000, 8000

#: Names of a run's tags.
TRIAL_TAG, STUDIES_TAG = "advsweep.trial", "advsweep.studies"

#: The status of a run in MLflow, by that of a trial that is not running.
RUN_STATUS = {
    Status.UNFINISHED: "KILLED",
    Status.EARLY_STOPPED: "KILLED",
    Status.FINISHED: "FINISHED",
    Status.FAILED: "FAILED",
}

#: Columns of a trial's row that are tags too, where they are known.
_PROVENANCE = ("host", "user", "commit", "wall_seconds", "peak_memory")

#: What MLflow answers where it refuses a run's contents, and not the connection.
_REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}

T = TypeVar("T")


@dataclass(frozen=True)
class _Synced:
    """What a run shows, as its tag :data:`.SYNCED_TAG` says.

    ``state``: a digest of the trial's files and arms. ``epochs``: how many are shown of the training that began at ``created``,
    in milliseconds since 1970.
    """

    state: str = ""
    epochs: int = 0
    created: int = 0

    @classmethod
    def of(cls, run: Run | None) -> Self:
        parts = run.synced.split() if run else []
        return cls(parts[0], int(parts[1]), int(parts[2])) if len(parts) == 3 else cls()

    def __str__(self) -> str:
        return f"{self.state} {self.epochs} {self.created}"


class MlflowView:
    """Updates MLflow's runs from the record.

    One process at a time, by a lock in the storage: two would both find no run, and both create one.

    ``notes``: lines for the user, from connecting.

    Attributes:
        left: how many trials the update under way has still to write.
        written: how many trials and tables have been written; grows while there is progress.
    """

    name = "MLflow"

    def __init__(self, client: MlflowClient, store: Store, notes: Sequence[str] = ()) -> None:
        self.left = self.written = 0
        self._client = client
        self._store = store
        self._experiments = Experiments(client)
        self._tables = TableRuns(client, store, self._experiments)
        self._runs: dict[str, Run] = {}
        self._current = False
        self._mended = [*notes]
        self._refused: dict[str, str] = {}

    @classmethod
    def open(cls, store: Store) -> Self:
        """Make the view in the database or on the server that :func:`.default_uri` names.

        Raises:
            Unavailable: nothing answers there.
        """
        client, notes = connect_own(store)
        return cls(client, store, notes)

    @property
    def notes(self) -> list[str]:
        """What happened that a user should know, a line each."""
        refused = [f"{self.name} does not show trial {key}: {why}" for key, why in sorted(self._refused.items())]
        more = [f"nor {len(refused) - 1} more trials"] if len(refused) > 1 else []
        return [*self._mended, *([", ".join([refused[0], *more])] if refused else [])]

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Update the runs of trials.

        Args:
            live: keys of the trials that are running now; every other unfinished one is shown as KILLED. None if another
                process runs them: unfinished ones are shown as RUNNING.
            only: keys of the trials to update; None for all, after a new search for their runs.

        Returns:
            the number of runs that were written; a trial that MLflow refuses is in :attr:`notes`, and stops no other.
        """
        with self._store.exclusively("sync", timeout=120, part="mlflow"):
            return self._mending(lambda: self._sync(live, only))

    def sync_tables(self, tables: Tables) -> int:
        """Update the studies' tables, as files of one run for each study.

        Returns:
            the number of tables that were written.

        Raises:
            Unavailable: a table cannot be made; all others are updated.
        """
        with self._store.exclusively("sync", timeout=120, part="mlflow"):
            return self._mending(lambda: self._tables.sync(tables, self._count))

    def _count(self) -> None:
        self.written += 1

    def _mending(self, update: Callable[[], T]) -> T:
        """Run an update; run it again in a new database where the storage's own is damaged."""
        try:
            return update()
        except Exception as error:  # of which library depends on where the damage is
            database = own_database(self._store)
            if database is None or not is_damage(error):
                raise
            self._mended.append(replace_damaged(database))
        self._current = False
        return update()

    def _sync(self, live: Collection[str] | None, only: Collection[str] | None) -> int:
        manifests = self._store.manifests()
        arms = _arms(manifests)
        listed = self._store.trials(None if only is None else arms.keys() & set(only))
        if only is None or not self._current:
            self._find_runs(sorted({m.study.split("/")[0] for m in manifests}))
        if only is None:
            # Runs of trials that are in no manifest any more (fewer seeds, say) must not stay RUNNING either.
            arms = {key: {} for key in self._runs.keys() & listed.keys()} | arms
        # A call that fails may have taken effect: then the next update searches for the runs again.
        self._current = False
        states = {key: state_of(listed[key], sorted(arms[key].items())) for key in arms.keys() & listed.keys()}
        pending = {key: listed[key] for key, state in states.items() if self._differs(key, state, live)}
        self.left, written = len(pending), 0
        for key, found in read_trials(self._store, pending):
            written += self._shown(key, arms[key], states[key], found, live)
            self.left -= 1
            self._count()
        self.left = 0
        self._current = True
        return written

    def _differs(self, key: str, state: str, live: Collection[str] | None) -> bool:
        """Check whether a trial's run may show something else than the record, without reading the record."""
        run = self._runs.get(key)
        if run is None or _Synced.of(run).state != state:
            return True
        if live is None:  # whether it runs, the record says
            return run.status in {"KILLED", "RUNNING"}
        return (run.status == "RUNNING") != (key in live)

    def _shown(
        self, key: str, arms: Mapping[str, str], state: str, found: TrialRows | str, live: Collection[str] | None
    ) -> bool:
        """Update a trial's run, or note why it cannot be; return whether it was written."""
        try:
            if isinstance(found, str):
                raise ValueError(found)
            written = self._show(key, arms, state, found, live)
        except (ValueError, KeyError, TypeError, MlflowException) as error:
            refused = not isinstance(error, MlflowException) or (error.error_code in _REFUSED and not is_damage(error))
            if not refused:
                raise
            self._refused[key] = one_line(error)
            return False
        self._refused.pop(key, None)
        return written

    def _show(self, key: str, arms: Mapping[str, str], state: str, found: TrialRows, live: Collection[str] | None) -> bool:
        """Update a trial's run from its rows; return False if there is nothing new."""
        row = found.row
        trial_status = Status(row["status"])
        running = trial_status == Status.UNFINISHED if live is None else key in live
        status = "RUNNING" if running else RUN_STATUS[trial_status]
        run, before = self._runs.get(key), _Synced.of(self._runs.get(key))
        if run and run.status == status and before.state == state:
            return False
        run = run or self._create(key, arms, row)
        now = _Synced(state, row["epochs"], milliseconds(row["created"]))
        before = before if before.created == now.created else _Synced()
        if not run.synced:
            self._client.log_dict(run.id, json.loads(row["config"]), "config.json")
        metrics = [*epoch_metrics(row["history"] or (), before.epochs), *self._unknown(run, before, found)]
        if running:
            self._client.update_run(run.id, status=status)
        else:
            self._client.set_terminated(run.id, status, end_time=milliseconds(row["updated"]))
        self._log(run, metrics, _params(row) if not run.synced else [], _tags(arms, found), str(now))
        self._runs[key] = Run(key, run.id, status, str(now))
        return True

    def _unknown(self, run: Run, before: _Synced, found: TrialRows) -> list[Metric]:
        """Return the metrics of evaluations and measures that a run does not show yet."""
        metrics = [*evaluation_metrics(found.evaluations), *measure_metrics(found.measures)]
        known = self._client.get_run(run.id).data.metrics if metrics and before.state else {}
        return [metric for metric in metrics if known.get(metric.key) != metric.value]

    def _log(self, run: Run, metrics: list[Metric], params: list[Param], tags: list[RunTag], synced: str) -> None:
        """Write to a run in as few calls as MLflow allows, each of which takes a transaction; that it is synced comes last."""
        parts = _batches(metrics, _METRICS), _batches(params, _PARAMS), _batches(tags, _TAGS)
        last = max(1, *map(len, parts)) - 1
        for i in range(last + 1):
            some_metrics, some_params, some_tags = (part[i] if i < len(part) else [] for part in parts)
            more = [RunTag(SYNCED_TAG, synced)] if i == last else []
            self._client.log_batch(run.id, some_metrics, some_params, [*some_tags, *more])

    def _create(self, key: str, arms: Mapping[str, str], row: Mapping[str, Any]) -> Run:
        """Create a trial's run, in the experiment of the first study that has the trial."""
        study, arm = next(iter(arms.items()))
        created = self._client.create_run(
            self._experiments.id(study.split("/")[0]),
            start_time=milliseconds(row["created"]),
            tags={TRIAL_TAG: key},
            run_name=f"{arm} seed {row['seed']}"[:NAME],
        )
        self._runs[key] = Run(key, created.info.run_id, "RUNNING", "")
        return self._runs[key]

    def _find_runs(self, papers: list[str]) -> None:
        """Find the trials' runs."""
        self._experiments.forget()
        self._runs = only_runs(self._client, [self._experiments.id(paper) for paper in papers], TRIAL_TAG)


def _params(row: Mapping[str, Any]) -> list[Param]:
    """Return a trial's configuration as parameters; one that is too long is cut: config.json has the whole."""
    return [Param(as_name(name), str(value)[:_PARAM]) for name, value in flatten(json.loads(row["config"])).items()]


def _tags(arms: Mapping[str, str], found: TrialRows) -> list[RunTag]:
    """Return the tags of a trial's run."""
    row = found.row
    tags = {as_name(f"advsweep.arm.{study}"): arm for study, arm in arms.items()}
    tags |= {STUDIES_TAG: ", ".join(arms), "advsweep.failed": found.failed}
    tags |= {f"advsweep.{name}": row[name] or "" for name in ("versions", "device", "reason")}
    tags |= {f"advsweep.{name}": str(row[name]) for name in _PROVENANCE if row[name] is not None}
    return [RunTag(name, value[:_TAG]) for name, value in tags.items()]


def _arms(manifests: Iterable[Manifest]) -> dict[str, dict[str, str]]:
    """Return, by trial and by study, the label of the trial's arm."""
    arms: dict[str, dict[str, str]] = {}
    for manifest in manifests:
        for key, label in manifest.labels.items():
            arms.setdefault(key, {})[manifest.study] = label
    return arms


def _batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
