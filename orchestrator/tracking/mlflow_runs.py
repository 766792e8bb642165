"""Finding experiments in MLflow, and the runs of trials and tables by their tags alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from sqlalchemy import bindparam, create_engine, text

from orchestrator.tracking.mlflow_database import artifacts_of, database_of

#: The tag of a run that says what it shows; written last, so that a run that was written partly is written again.
SYNCED_TAG = "advsweep.synced"

#: Tags of an experiment, for which MLflow's UI opens its pages for training and not those for language models.
TRAINING = {"mlflow.experimentKind": "custom_model_development"}

#: The most characters of a run's name.
NAME = 250

#: Runs on one page of a server's answer.
_PAGE = 1000

_QUERY = text(
    "SELECT runs.run_uuid, runs.status, named.value, synced.value FROM runs "
    "JOIN tags AS named ON named.run_uuid = runs.run_uuid AND named.key = :tag "
    "LEFT JOIN tags AS synced ON synced.run_uuid = runs.run_uuid AND synced.key = :synced "
    "WHERE runs.lifecycle_stage = 'active' AND runs.experiment_id IN :experiments"
).bindparams(bindparam("experiments", expanding=True))


@dataclass(frozen=True)
class Run:
    """A run of MLflow.

    Attributes:
        of: what it shows: the key of a trial, or the name of a study.
        id: MLflow's.
        status: MLflow's, such as ``RUNNING``.
        synced: its :data:`SYNCED_TAG`; "" if it was never written completely.
    """

    of: str
    id: str
    status: str
    synced: str


def find_runs(client: MlflowClient, experiments: Sequence[str], tag: str) -> Iterator[Run]:
    """Yield the runs of these experiments that have a tag, whose value is what they show.

    A database is asked at once. MLflow's client would read every metric and parameter of every run too, a millisecond each; for
    a server there is no other way.
    """
    if not experiments:
        return
    if not client.tracking_uri.startswith("http"):
        engine = create_engine(client.tracking_uri)
        try:
            with engine.connect() as connection:
                values = {"tag": tag, "synced": SYNCED_TAG, "experiments": [int(experiment) for experiment in experiments]}
                for run, status, of, synced in connection.execute(_QUERY, values):
                    yield Run(of, run, status, synced or "")
        finally:
            engine.dispose()
        return
    token = None
    while True:
        page = client.search_runs([*experiments], f"tags.`{tag}` != ''", max_results=_PAGE, page_token=token)
        for found in page:
            yield Run(found.data.tags[tag], found.info.run_id, found.info.status, found.data.tags.get(SYNCED_TAG, ""))
        if not (token := page.token):
            return


def only_runs(client: MlflowClient, experiments: Sequence[str], tag: str) -> dict[str, Run]:
    """Find the runs with a tag by its value; of two that a repeated call created for one, delete the emptier one."""
    runs: dict[str, Run] = {}
    for run in sorted(find_runs(client, experiments, tag), key=lambda run: not run.synced):
        if run.of in runs:
            client.delete_run(run.id)
        else:
            runs[run.of] = run
    return runs


class Experiments:
    """The experiments of MLflow, one a paper: made where they are missing, restored where they were deleted."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._ids: dict[str, str] = {}

    def id(self, paper: str) -> str:
        """Return the id of a paper's experiment."""
        if paper not in self._ids:
            self._ids[paper] = self._open(paper)
        return self._ids[paper]

    def forget(self) -> None:
        """Ask MLflow again at the next call: someone may have deleted an experiment."""
        self._ids.clear()

    def _open(self, paper: str) -> str:
        found = self._client.get_experiment_by_name(paper)
        if found is None:
            database = database_of(self._client.tracking_uri)
            artifacts = artifacts_of(database, paper) if database else None
            created: str = self._client.create_experiment(paper, artifacts, TRAINING)
            return created
        if found.lifecycle_stage == LifecycleStage.DELETED:  # which keeps its name
            self._client.restore_experiment(found.experiment_id)
        known: str = found.experiment_id
        return known
