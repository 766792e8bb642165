"""The tables of studies in MLflow: files of one run for each study."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version

from mlflow import MlflowClient

from analysis.numerics import trials
from analysis.record.manifest import Manifest
from analysis.record.rows import Listed
from orchestrator.errors import Unavailable, one_line
from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_runs import NAME, SYNCED_TAG, Experiments, Run, only_runs
from orchestrator.tracking.trial_rows import state_of

#: Renders a study's table from its manifest: a file's name to its text.
Tables = Callable[[Manifest], Mapping[str, str]]

#: The tag of a run with a study's table: the study's name.
STUDY_TAG = "advsweep.study"


class TableRuns:
    """Updates the runs that show tables from the record."""

    def __init__(self, client: MlflowClient, store: Store, experiments: Experiments) -> None:
        self._client, self._store, self._experiments = client, store, experiments

    def sync(self, tables: Tables, count: Callable[[], None]) -> int:
        """Update every study's table of which the record or the manifest has changed, and return how many.

        Args:
            tables: renders a table.
            count: is called after each table.

        Raises:
            Unavailable: a table cannot be made; all others are updated.
        """
        manifests = self._store.manifests()
        self._experiments.forget()
        papers = sorted({m.study.split("/")[0] for m in manifests})
        runs = only_runs(self._client, [self._experiments.id(paper) for paper in papers], STUDY_TAG)
        listed = self._store.trials(frozenset[str]().union(*map(trials, manifests)))
        written, failed = 0, list[str]()
        for manifest in manifests:
            run, state = runs.get(manifest.full_name), _state(manifest, listed)
            if run and run.synced == state:
                continue
            try:
                files = tables(manifest)
            except Exception as error:  # whatever is wrong with one table, the others are shown
                failed.append(f"the table of {manifest.full_name} cannot be made: {one_line(error)}")
                continue
            self._show(manifest, run, files, state)
            written += 1
            count()
        if failed:
            raise Unavailable(failed[0])
        return written

    def _show(self, manifest: Manifest, run: Run | None, files: Mapping[str, str], state: str) -> None:
        """Write a study's table to its run in the paper's experiment."""
        run_id = run.id if run else self._create(manifest)
        for file, text in files.items():
            self._client.log_text(run_id, text, file)
        self._client.set_terminated(run_id, "FINISHED")
        self._client.set_tag(run_id, SYNCED_TAG, state)

    def _create(self, manifest: Manifest) -> str:
        name = manifest.full_name
        experiment = self._experiments.id(manifest.study.split("/")[0])
        created = self._client.create_run(experiment, run_name=f"table: {name}"[:NAME], tags={STUDY_TAG: name})
        run_id: str = created.info.run_id
        return run_id


def _state(manifest: Manifest, listed: Listed) -> str:
    """Return a digest of what a table is made from: the code, the study, and the files of its trials."""
    files = [state_of(listed[key]) for key in sorted(trials(manifest)) if key in listed]
    text = json.dumps([version("advsweep"), replace(manifest, created="").to_json(), files])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
