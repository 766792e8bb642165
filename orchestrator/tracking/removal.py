"""Removing from the views of a storage what was deleted from its record: only from those that lie in the storage itself.

A tracking server, or a database for Optuna, may show other storages too, perhaps with the same trials; it is left as it is.
"""

from collections.abc import Collection
from pathlib import Path

import optuna
from mlflow import MlflowClient

from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_database import connect, default_uri, own_database
from orchestrator.tracking.mlflow_runs import find_runs
from orchestrator.tracking.mlflow_tables import STUDY_TAG
from orchestrator.tracking.mlflow_view import TRIAL_TAG
from orchestrator.tracking.optuna_storage import default_url, open_storage
from orchestrator.tracking.optuna_view import STORAGE


def remove_from_views(store: Store, trials: Collection[str], studies: Collection[str]) -> list[str]:
    """Delete MLflow's runs of trials and of studies' tables, and Optuna's studies.

    Args:
        store: the storage.
        trials: the trials' keys.
        studies: the studies' full names, with their variants.

    Returns:
        for each view that still shows some of it, which one it is; empty where none does.

    Raises:
        Unavailable: a view cannot be opened, or another process updates it.
    """
    left = []
    uri, database = default_uri(store), own_database(store)
    if database is None or not store.local:
        left.append(f"MLflow at {uri}")
    elif database.exists():
        with store.exclusively("sync", timeout=120, part="mlflow"):
            _remove_runs(connect(uri), trials, studies)
    journal = default_url(store)
    if journal is not None and Path(journal).exists():
        with store.exclusively("sync", timeout=120, part="optuna"):
            _remove_studies(journal, store.identity(), studies)
    return left


def _remove_runs(client: MlflowClient, trials: Collection[str], studies: Collection[str]) -> None:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for tag, names in ((TRIAL_TAG, trials), (STUDY_TAG, studies)):
        for run in [run for run in find_runs(client, experiments, tag) if run.of in names]:
            client.delete_run(run.id)


def _remove_studies(journal: str, identity: str, studies: Collection[str]) -> None:
    opened = open_storage(journal)
    for study in optuna.get_all_study_summaries(opened, include_best_trial=False):
        if study.study_name in studies and study.user_attrs.get(STORAGE) == identity:
            optuna.delete_study(study_name=study.study_name, storage=opened)
