"""Attack and measure trained networks, and check whether their robustness can be believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.api.observer import Observer
from orchestrator.api.plans import SweepResult, plan_studies, run_plan
from orchestrator.api.records import read_record, storage_errors
from orchestrator.api.terms import STORAGE, CheckpointName, Files, Names, ProfileName, as_names, as_paths
from orchestrator.authoring.attack_text import column, number, panel
from orchestrator.authoring.study_files import find_studies
from orchestrator.authoring.study_files import load as load_studies
from orchestrator.errors import BadInput, CheckFailed
from orchestrator.execution.options import Options
from orchestrator.planning.baseline import from_baseline
from orchestrator.planning.plan import Plan
from orchestrator.record.store import Store
from search_spaces.checklist import CHECKLIST, MEASURES, TRANSFERRED
from search_spaces.column import Column

if TYPE_CHECKING:
    from analysis.checks import Item
    from orchestrator.execution.external_checkpoint import ExternalCheckpoint


def evaluate(
    names: Names,
    *,
    attacks: Sequence[str] = (),
    measures: Sequence[str] = (),
    profile: ProfileName = "paper",
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    study_files: Files = (),
    storage: str = STORAGE,
    retry_failed: bool = False,
    options: Options | None = None,
    observer: Observer | None = None,
) -> SweepResult:
    """Attack or measure the trained trials of studies in further ways. Trains nothing.

    Args:
        attacks: names, or names and fields: ``autoattack``, ``pgd(iterations=100, restarts=5)``. Each becomes a column of the
            studies' tables. By default eps is the profile's, the step a tenth of eps, and every beta_atk of the profile is
            tried.
        measures: names, or names and fields, for :func:`~orchestrator.api.tables.figure`: ``dimensions``,
            ``sensitivity(attack=pgd(iterations=20))``.
        names, profile, seeds, settings, study_files, storage, retry_failed: as in :func:`~orchestrator.api.plans.plan`.
        options, observer: as in :func:`~orchestrator.api.plans.run`.

    Raises:
        BadInput: neither attacks nor measures are given, one of them is not allowed, or no trial is trained.
        Unavailable, Interrupted: as :func:`~orchestrator.api.plans.run`.

    >>> import advsweep
    >>> small = {"data.examples": 64, "model.width": 4, "training.epochs": 2}
    >>> done = advsweep.evaluate(
    ...     "cifs/table-5", attacks=["noise(restarts=2)"], profile="demo", seeds=1, settings=small, storage="results"
    ... )
    >>> [column.label for column in advsweep.table("cifs/table-5", storage="results").columns]
    ['Natural/Final', 'CIFS/CIFS', 'CIFS/Final', 'Adap/Final', 'noise(restarts=2)']
    """
    if not attacks and not measures:
        raise BadInput("--attack or --measure: give at least one")
    options, observer = options or Options(), observer or Observer()
    made = plan_studies(
        find_studies(as_names(names), as_paths(study_files)),
        profile,
        seeds,
        settings,
        Store(storage, observer.damaged),
        options.verify,
        retry_failed=retry_failed,
        added=_columns(attacks),
        measures=tuple(map(panel, measures)),
        train=False,
    )
    _refuse_untrained(made, storage)
    return run_plan(made, storage, options, observer)


def evaluate_checkpoint(
    checkpoint: Path | str,
    model: str,
    *,
    attacks: Sequence[str],
    dataset: str = "cifar10",
    eps: float | str = "8/255",
    settings: Mapping[str, Any] | None = None,
    study_files: Files = (),
    options: Options | None = None,
) -> "ExternalCheckpoint":
    """Attack an external checkpoint (weights that no trial here trained), in this process, without a cluster or a record.

    Args:
        checkpoint: a file of weights: safetensors, or a state dict that ``torch.load`` reads with ``weights_only``.
        model: the network's name, such as ``resnet-18``, ``wrn-28`` or ``vgg-16-bn``; hyphens may be left out.
        attacks: as in :func:`evaluate`.
        dataset: the data set whose test images are attacked.
        eps: the budget of attacks that give none, in pixels in [0, 1]; a number or a fraction.
        settings: further fields of the network, such as ``{"model.width": 160, "model.normalise": True}``.
        study_files: files with the plugins of the network or the attacks.
        options: its ``runtime`` says on which device the network runs and where the data are.

    Returns:
        the network and its attacks; ``accuracies()`` runs one attack after another.

    Raises:
        BadInput: a name, field or attack is not allowed; the file holds no weights, or those of another network.
        Unavailable: the file or the data set does not exist.

    >>> import advsweep
    >>> from pathlib import Path
    >>> trials = advsweep.load("results").trials
    >>> plain = trials["trial"][trials["config.module.name"] == "none"].item()
    >>> [file] = Path("results/trials", plain).glob("weights-000002.*")
    >>> network = {"model.width": 4, "model.normalise": True, "data.examples": 64}
    >>> found = advsweep.evaluate_checkpoint(file, "resnet10", attacks=["fgsm"], dataset="digits", eps="1/8", settings=network)
    >>> [(accuracy.label, accuracy.examples) for accuracy in found.accuracies()]
    [('natural', 64), ('fgsm', 64)]
    """
    from orchestrator.execution.external_checkpoint import ExternalCheckpoint

    load_studies(as_paths(study_files))
    columns, runtime = _columns(attacks), (options or Options()).resolved().runtime
    budget = number("--eps", eps) if isinstance(eps, str) else eps
    return ExternalCheckpoint(Path(checkpoint), model, dataset, columns, budget, settings or {}, runtime)


@dataclass(frozen=True)
class Checked:
    """The result of the checklist of obfuscated gradients.

    ``sweep``: the evaluations that were run for it. ``items``: every item with its status, by study and by the labels of a row.
    """

    sweep: SweepResult
    items: "dict[str, dict[tuple[str, ...], tuple[Item, ...]]]"

    @property
    def doubtful(self) -> list[tuple[str, tuple[str, ...]]]:
        """The rows that fail an item: study and labels."""
        from analysis.checks import failures

        return [(study, labels) for study, rows in self.items.items() for labels, items in rows.items() if failures(items)]

    def raise_for_failures(self) -> None:
        """Raise an error if a trial failed, an evaluation could not be run, or a row fails an item.

        Raises:
            SweepIncomplete, CheckFailed: the message says what.
        """
        self.sweep.raise_for_failures()
        if doubtful := [f"{study} {' '.join(labels)}" for study, labels in self.doubtful]:
            raise CheckFailed(f"{len(doubtful)} rows fail a check: {', '.join(doubtful)}")


def check(
    names: Names,
    *,
    checkpoint: CheckpointName = "last",
    profile: ProfileName = "paper",
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    study_files: Files = (),
    storage: str = STORAGE,
    retry_failed: bool = False,
    options: Options | None = None,
    observer: Observer | None = None,
) -> Checked:
    """Run the checklist of obfuscated gradients on trained trials: which rows seem more robust than they are? Trains nothing.

    Args:
        checkpoint: the ``last`` or the ``best`` one of each trial.
        names, profile, seeds, settings, study_files, storage, retry_failed: as in :func:`~orchestrator.api.plans.plan`.
        options, observer: as in :func:`~orchestrator.api.plans.run`.

    Raises:
        BadInput: a name, field or value is not allowed, or no trial is trained.
        Unavailable, Interrupted: as :func:`~orchestrator.api.plans.run`.

    >>> import advsweep
    >>> small = {"data.examples": 64, "model.width": 4, "training.epochs": 2}
    >>> checked = advsweep.check("cifs/table-4", profile="demo", seeds=1, settings=small, storage="results")
    >>> [items] = checked.items["cifs/table-4"].values()
    >>> items[0].name, items[0].status
    ('the loss is finite and has a gradient', 'passed')
    """
    from analysis.checks import check as examine

    studies = find_studies(as_names(names), as_paths(study_files))
    options, observer = options or Options(), observer or Observer()
    made = plan_studies(
        studies,
        profile,
        seeds,
        settings,
        Store(storage, observer.damaged),
        options.verify,
        retry_failed=retry_failed,
        added=CHECKLIST,
        shown=False,
        measures=MEASURES,
        checkpoints=(checkpoint,),
        train=False,
    )
    made = from_baseline(made, studies, TRANSFERRED, checkpoint)
    _refuse_untrained(made, storage)
    done = run_plan(made, storage, options, observer)
    with storage_errors(storage):
        return Checked(done, {m.study: examine(read_record(storage, trials=m.trials), m, checkpoint) for m in made.manifests})


def _columns(attacks: Sequence[str]) -> tuple[Column, ...]:
    """Parse attacks into columns, each once."""
    return tuple({c.label: c for c in map(column, attacks)}.values())


def _refuse_untrained(made: Plan, storage: str) -> None:
    if len(made.untrained) == len(made.trials):
        raise BadInput(f"none of the {len(made.trials)} trials is trained in --storage {storage!r}; `advsweep run` trains them")
