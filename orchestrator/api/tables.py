"""Make the tables of studies, and the data of their figures, from a storage."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from analysis.record.schema import TRIALS_FOLDER
from orchestrator.api.records import existing_store, read_record, storage_errors
from orchestrator.api.terms import STORAGE, CheckpointName, ProfileName
from orchestrator.errors import BadInput
from search_spaces.catalog import UnknownStudy, find
from trainables.config import present_versions

if TYPE_CHECKING:
    import pandas as pd

    from analysis.record.manifest import Manifest
    from analysis.tables import Checkpoint, Counting, OverBeta, Table

Format = Literal["text", "md", "latex", "csv", "html"]


def table(
    name: str,
    *,
    checkpoint: "Checkpoint" = "both",
    over_beta: "OverBeta" = "minimum",
    counting: "Counting" = "paper",
    profile: ProfileName | None = None,
    settings: Mapping[str, Any] | None = None,
    variant: str | None = None,
    storage: str = STORAGE,
) -> "Table":
    """Make the table of a study that was run, in percent; :func:`render` writes it.

    Args:
        name: the study's name or alias.
        checkpoint: ``best``, ``last`` or ``both``, of each trial.
        over_beta: how accuracies under several beta_atk are reduced: their ``minimum``, the ``per-sample`` worst case, or
            ``each`` in its own row.
        counting: ``paper``, where columns beside a paper's numbers count by the attack's last iterate as the paper does, or
            ``any``, where an example is right of which every iterate is, as in all other columns.
        profile: the profile of the run; None for the newest run.
        settings: those of the run, all of them; None for the newest run.
        variant: profile and settings in one word, as :func:`~orchestrator.api.records.status` names it; None for the newest.
        storage: a folder or URI.

    Raises:
        BadInput: no such study was run here.
        Unavailable: there is no storage, or its record is damaged.

    >>> import advsweep
    >>> made = advsweep.table("cifs/table-5", storage="results")
    >>> [column.label for column in made.columns]
    ['Natural/Final', 'CIFS/CIFS', 'CIFS/Final', 'Adap/Final']
    >>> [row.labels for row in made.blocks[0].rows]
    [('Vanilla',), ('top-1',), ('top-2',), ('top-3',)]
    """
    return build_table(storage, _one(storage, name, profile, settings, variant), checkpoint, over_beta, counting)


def tables(
    pattern: str,
    *,
    checkpoint: "Checkpoint" = "both",
    over_beta: "OverBeta" = "minimum",
    counting: "Counting" = "paper",
    profile: ProfileName | None = None,
    settings: Mapping[str, Any] | None = None,
    variant: str | None = None,
    storage: str = STORAGE,
) -> "list[Table]":
    """Make the table of every study that was run and has a name that matches ``pattern``; otherwise as :func:`table`."""
    return [
        build_table(storage, m, checkpoint, over_beta, counting)
        for m in find_manifests(storage, pattern, profile, settings, variant)
    ]


def render(table: "Table", form: Format | str = "text") -> str:
    r"""Write a table as ``text``, ``md``, ``latex``, ``csv`` or ``html``.

    Raises:
        BadInput: there is no such format.

    >>> import advsweep
    >>> made = advsweep.table("cifs/table-5", storage="results")
    >>> advsweep.render(made, "csv").splitlines()[0][:13]
    'study,profile'
    """
    from analysis import render as formats

    write = {
        "text": formats.to_text,
        "md": formats.to_markdown,
        "latex": formats.to_latex,
        "csv": formats.to_csv,
        "html": formats.to_html,
    }
    if form not in write:
        raise BadInput(f"form = {form!r}: allowed: {', '.join(write)}")
    return write[form](table)


def figure(
    name: str,
    *,
    checkpoint: CheckpointName = "last",
    profile: ProfileName | None = None,
    settings: Mapping[str, Any] | None = None,
    variant: str | None = None,
    storage: str = STORAGE,
) -> "dict[str, pd.DataFrame]":
    """Collect the data of a study's figure: frames by title, with a row for every value.

    The titles are ``by epoch``, ``by gradient steps``, ``by eps`` and the label of each measure, as far as the storage has the
    data; accuracies are fractions in [0, 1]. See :func:`analysis.figures.frames`.

    Raises:
        BadInput: no such study was run here.
        Unavailable: there is no storage, or its record is damaged.

    >>> import advsweep
    >>> frame = advsweep.figure("cifs/table-5", storage="results")["by gradient steps"]
    >>> bool(frame["accuracy"].between(0, 1).all())
    True
    """
    return build_figure(storage, _one(storage, name, profile, settings, variant), checkpoint)


def figures(
    pattern: str,
    *,
    checkpoint: CheckpointName = "last",
    profile: ProfileName | None = None,
    settings: Mapping[str, Any] | None = None,
    variant: str | None = None,
    storage: str = STORAGE,
) -> "dict[str, dict[str, pd.DataFrame]]":
    """Collect the figure of every study that was run and matches ``pattern``, by its name; otherwise as :func:`figure`."""
    return {m.study: build_figure(storage, m, checkpoint) for m in find_manifests(storage, pattern, profile, settings, variant)}


@dataclass(frozen=True)
class BestCheckpoint:
    """The checkpoint of a row's best seed.

    Attributes:
        labels: the row's.
        checkpoint: ``last`` or ``best``.
        seed: the best one; None where none is finished, and then neither are ``trial`` and ``epoch``.
        trial: its key.
        epoch: of the checkpoint.
        path: the file of the network's weights; None where the storage does not have it.
    """

    labels: tuple[str, ...]
    checkpoint: str
    seed: int | None = None
    trial: str | None = None
    epoch: int | None = None
    path: str | None = None


def checkpoints(name: str, *, profile: ProfileName | None = None, storage: str = STORAGE) -> list[BestCheckpoint]:
    """Find the checkpoints of the best seed of each row of a study's table.

    Args:
        name, profile, storage: as in :func:`table`.

    Raises:
        BadInput: no such study was run here.
        Unavailable: there is no storage, or its record is damaged.

    >>> import advsweep
    >>> vanilla = advsweep.checkpoints("cifs/table-5", storage="results")[0]
    >>> vanilla.labels, vanilla.checkpoint, vanilla.seed, vanilla.epoch
    (('Vanilla',), 'last', 0, 2)
    >>> vanilla.path.endswith(".safetensors")
    True
    """
    made = table(name, profile=profile, storage=storage)
    store = existing_store(storage)
    trials = {arm.labels: arm.trials for arm in made.manifest.arms}
    found = []
    for block in made.blocks:
        for row in block.rows:
            key = trials[row.labels[: len(made.manifest.factors)]].get(str(row.best))
            with storage_errors(storage):
                recorded = store.read_trial(key) if key else None
            if key is None or recorded is None:
                found.append(BestCheckpoint(row.labels, block.checkpoint))
                continue
            epoch = recorded["best_epoch" if block.checkpoint == "best" else "epochs"]
            weights = store.weights(key, epoch)
            path = store.path(TRIALS_FOLDER, key, str(weights)) if weights else None
            found.append(BestCheckpoint(row.labels, block.checkpoint, row.best, key, epoch, path))
    return found


def build_table(
    storage: str,
    manifest: "Manifest",
    checkpoint: "Checkpoint" = "both",
    over_beta: "OverBeta" = "minimum",
    counting: "Counting" = "paper",
) -> "Table":
    """Make the table of a study from its manifest; otherwise as :func:`table`."""
    from analysis.numerics import trials
    from analysis.tables import build

    record = read_record(storage, trials=trials(manifest))
    with storage_errors(storage):
        present = present_versions()
        return build(record, manifest, checkpoint=checkpoint, over_beta=over_beta, counting=counting, present=present)


def build_figure(storage: str, manifest: "Manifest", checkpoint: CheckpointName) -> "dict[str, pd.DataFrame]":
    """Collect the data of a study's figure from its manifest; otherwise as :func:`figure`."""
    from analysis.figures import frames

    record = read_record(storage, trials=manifest.trials)
    with storage_errors(storage):
        return frames(record, manifest, checkpoint)


def find_manifests(
    storage: str,
    pattern: str,
    profile: str | None = None,
    settings: Mapping[str, Any] | None = None,
    variant: str | None = None,
) -> "list[Manifest]":
    """Find the studies of this name, alias or pattern that were run on a storage, the newest variant of each.

    ``profile``, ``settings``, ``variant``: that the variants have; None for any.

    Raises:
        BadInput: no such study was run, or not in that way.
        Unavailable: there is no storage, or a manifest is damaged.
    """
    from analysis.record.load import ManifestNotFoundError, manifests, newest_manifest

    existing_store(storage)
    try:
        with storage_errors(storage):
            there = _of_variant(manifests(storage), pattern, settings, variant)
        # Among the manifests, and not in the catalogue: a study from a file is found without that file.
        wanted = {m.study for m in there if _matches(m, pattern)}
        if len(wanted) > 1 or any(c in pattern for c in "*?["):
            if not wanted:
                raise ManifestNotFoundError(
                    f"no study of {pattern!r} was run on {storage!r} yet; run it with `advsweep run {pattern}`"
                )
            return [newest_manifest(there, name, profile, storage) for name in sorted(wanted)]
        return [newest_manifest(there, pattern, profile, storage)]
    except ManifestNotFoundError as error:
        try:
            find(pattern)
        except UnknownStudy as unknown:
            if unknown.explained:  # such as a typing error
                raise BadInput(str(unknown)) from error
        raise BadInput(str(error)) from error


def _of_variant(
    there: "Sequence[Manifest]", pattern: str, settings: Mapping[str, Any] | None, variant: str | None
) -> "Sequence[Manifest]":
    """Select manifests of these settings or this variant.

    Raises:
        BadInput: studies that match ``pattern`` were run, but not so; the message lists their variants.
    """
    wanted = None if settings is None else json.loads(json.dumps(settings))
    found = [m for m in there if variant in {None, m.variant} and wanted in (None, m.overrides)]
    matched = [m for m in there if _matches(m, pattern)]
    if matched and not any(_matches(m, pattern) for m in found):
        asked = "--set" if variant is None else f"--variant {variant}"
        raise BadInput(f"{asked}: {pattern!r} was not run so, but as {', '.join(sorted({m.variant for m in matched}))}")
    return found


def _matches(manifest: "Manifest", pattern: str) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for name in manifest.names)


def _one(
    storage: str,
    name: str,
    profile: str | None,
    settings: Mapping[str, Any] | None = None,
    variant: str | None = None,
) -> "Manifest":
    found = find_manifests(storage, name, profile, settings, variant)
    if len(found) > 1:
        raise BadInput(f"{name!r}: must be one study, and is {len(found)}: {', '.join(m.study for m in found)}")
    return found[0]
