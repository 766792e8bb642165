"""Housekeeping of a storage: what fills it, and deleting what is not needed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.api.exports import chosen_studies
from orchestrator.api.records import existing_store, find_trial, storage_errors
from orchestrator.api.terms import STORAGE, Names, as_names
from orchestrator.environment import configure_environment
from orchestrator.errors import BadInput, Unavailable
from orchestrator.record.inventory import StoredFile, inventory, sizes
from orchestrator.record.removal import WORTHLESS, Needless, Removal, needed, needless, of_studies, remove
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store

if TYPE_CHECKING:
    from analysis.record.manifest import Manifest


@dataclass(frozen=True)
class StudyUse:
    """What the trials of a ``study`` in one ``variant`` fill: how many are recorded, and their bytes by kind.

    ``own``: the bytes of trials that no other study needs.
    """

    study: str
    variant: str
    trials: int
    bytes: Mapping[str, int]
    own: int


@dataclass(frozen=True)
class DiskUse:
    """What fills a storage, in bytes.

    ``total``: of all files. ``kinds``: by what they hold. ``studies``: one for each study that was run, in each variant.
    ``freeable``: what :func:`gc` would free, by its reason.
    """

    total: int
    kinds: Mapping[str, int]
    studies: Sequence[StudyUse]
    freeable: Mapping[str, int]


def du(storage: str = STORAGE) -> DiskUse:
    """Add up the sizes of a storage's files: by kind, by study, and what :func:`gc` would free. Reads no weights.

    Raises:
        Unavailable: there is no storage, or its record is damaged.

    >>> import advsweep
    >>> use = advsweep.du("results")
    >>> use.total == sum(use.kinds.values())
    True
    >>> [(each.study, each.trials) for each in use.studies]
    [('cifs/table-5', 4)]
    """
    store = existing_store(storage)
    with storage_errors(storage):
        stored, manifests = inventory(store), store.manifests()
        doomed = needless(store, stored, list(Needless))
    by_trial = _by_trial(stored)
    needing = _needing(manifests)
    studies = []
    for m in manifests:
        keys = sorted(needed(m) & by_trial.keys())
        own = [file for key in keys if len(needing[key]) == 1 for file in by_trial[key]]
        sized = sizes(file for key in keys for file in by_trial[key])
        studies.append(StudyUse(m.study, m.variant, len(keys), sized, sum(file.size for file in own)))
    freeable = {reason.value: _bytes(removal, by_trial) for reason, removal in doomed.items()}
    kinds = sizes(stored)
    return DiskUse(sum(kinds.values()), kinds, studies, freeable)


@dataclass(frozen=True)
class Removed:
    """What :func:`rm` deletes.

    Attributes:
        studies: the full names of studies, with their variants.
        trials: the labels of trials by their keys.
        shared: trials that stay because other studies need them: these studies' full names by the trial's key.
        losing: how many trials studies lose that stay, by their full names.
        evaluations: how many evaluations go with the trials.
        size: in bytes.
        done: whether it is deleted; otherwise it would be.
        views: what MLflow or Optuna still show of it, and why.
    """

    studies: tuple[str, ...]
    trials: Mapping[str, str]
    shared: Mapping[str, tuple[str, ...]]
    losing: Mapping[str, int]
    evaluations: int
    size: int
    done: bool = False
    views: tuple[str, ...] = ()


def rm(
    names: Names = (),
    *,
    variant: str | None = None,
    trials: Sequence[str] = (),
    storage: str = STORAGE,
    yes: bool = False,
) -> Removed:
    """Delete studies that were run, with the trials that no other study needs; or single trials.

    A single trial goes even if studies need it: their next run trains it again.

    Args:
        names: studies by name, alias or pattern, in every variant.
        variant: only variants of this name or pattern, such as ``demo*``; :func:`status` lists them.
        trials: keys of single trials, or the beginnings of keys.
        storage: a folder or URI.
        yes: whether to delete; otherwise it only says what would go.

    Raises:
        BadInput: no such study or trial is there, or a key's beginning fits several.
        Unavailable: there is no storage, or a run uses it.

    >>> import advsweep
    >>> would = advsweep.rm("cifs/table-5", storage="results")
    >>> len(would.trials), would.done
    (4, False)
    """
    store = existing_store(storage)
    if not names and not trials:
        raise BadInput("rm: name studies, or give --trial")
    if not yes:
        with storage_errors(storage):
            return _rm(store, as_names(names), variant, trials, yes=False)
    with storage_errors(storage), Claims.joined(store, "rm", alone=True):
        return _rm(store, as_names(names), variant, trials, yes=True)


def _rm(store: Store, names: Sequence[str], variant: str | None, trials: Sequence[str], yes: bool) -> Removed:
    manifests = store.manifests()
    chosen = chosen_studies(manifests, names, variant, store.uri) if names else []
    others = [m for m in manifests if m not in chosen]
    by_trial = _by_trial(inventory(store))
    with_studies = of_studies(chosen, others, by_trial)
    keys = sorted({*with_studies.trials, *(find_trial(store, trial) for trial in trials)})
    removal = Removal(trials=tuple(keys), manifests=with_studies.manifests)
    needing = _needing(others)
    shared = {key for m in chosen for key in needed(m)} & by_trial.keys() - set(keys)
    labels = {key: label for m in manifests for key, label in m.labels.items()}
    losing = {m.full_name: len(needed(m).intersection(keys)) for m in others}
    index = store.index(keys)
    would = Removed(
        studies=tuple(m.full_name for m in chosen),
        trials={key: labels.get(key, "") for key in keys},
        shared={key: tuple(needing[key]) for key in sorted(shared)},
        losing={name: number for name, number in losing.items() if number},
        evaluations=sum(len(found.evaluations) for found in index.values()),
        size=_bytes(removal, by_trial),
    )
    return replace(would, done=True, views=_carried_out(store, removal)) if yes else would


@dataclass(frozen=True)
class Freed:
    """What :func:`gc` deletes.

    Attributes:
        trials: keys of trials that no study has.
        evaluations: how many evaluations go with them.
        files: how many single files go, by the reason.
        size: in bytes, by the reason.
        done: whether it is deleted; otherwise it would be.
        views: what MLflow or Optuna still show of the trials, and why.
    """

    trials: tuple[str, ...]
    evaluations: int
    files: Mapping[str, int]
    size: Mapping[str, int]
    done: bool = False
    views: tuple[str, ...] = ()


def gc(storage: str = STORAGE, *, only: Collection[str] = (), yes: bool = False) -> Freed:
    """Delete what costs no number: states of finished trials, older versions, temporary files; and orphans on request.

    Only files that advsweep wrote are deleted, whatever else lies in the storage.

    Args:
        storage: a folder or URI.
        only: what to delete of ``orphans`` (trials that no study has), ``states``, ``superseded`` and ``temporary``; empty for
            all but ``orphans``: where a study's manifest was lost, its trials are among them.
        yes: whether to delete; otherwise it only says what would go.

    Raises:
        BadInput: ``only`` names something else.
        Unavailable: there is no storage, its record is damaged, or a run uses it.

    >>> import advsweep
    >>> len(advsweep.gc("results", only=["orphans"]).trials)  # trials that no study has
    0
    """
    try:
        reasons = [Needless(each) for each in only] or list(WORTHLESS)
    except ValueError as error:
        raise BadInput(f"only = {', '.join(only)}: allowed: {', '.join(Needless)}") from error
    store = existing_store(storage)
    if not yes:
        with storage_errors(storage):
            return _gc(store, reasons, yes=False)
    with storage_errors(storage), Claims.joined(store, "gc", alone=True):
        return _gc(store, reasons, yes=True)


def _gc(store: Store, reasons: Collection[Needless], yes: bool) -> Freed:
    stored = inventory(store)
    found, by_trial = needless(store, stored, reasons), _by_trial(stored)
    removal = Removal(
        trials=tuple(key for each in found.values() for key in each.trials),
        files=tuple(file for each in found.values() for file in each.files),
    )
    index = store.index(removal.trials)
    would = Freed(
        trials=removal.trials,
        evaluations=sum(len(recorded.evaluations) for recorded in index.values()),
        files={reason.value: len(each.files) for reason, each in found.items() if reason is not Needless.ORPHANS},
        size={reason.value: _bytes(each, by_trial) for reason, each in found.items()},
    )
    return replace(would, done=True, views=_carried_out(store, removal)) if yes else would


def _carried_out(store: Store, removal: Removal) -> tuple[str, ...]:
    """Delete from the views, then from the record; return what views still show."""
    remaining: list[str] = []
    if removal.trials or removal.manifests:
        configure_environment()
        from orchestrator.tracking.removal import remove_from_views

        try:
            remaining = remove_from_views(store, removal.trials, [m.full_name for m in removal.manifests])
        except Unavailable as error:
            remaining = [str(error)]
    remove(store, removal)
    return tuple(remaining)


def _by_trial(stored: Iterable[StoredFile]) -> dict[str, list[StoredFile]]:
    found: dict[str, list[StoredFile]] = defaultdict(list)
    for file in stored:
        if file.trial is not None:
            found[file.trial].append(file)
    return dict(found)


def _needing(manifests: Iterable["Manifest"]) -> dict[str, list[str]]:
    """Return the full names of the studies that need a trial, by its key."""
    found: dict[str, list[str]] = defaultdict(list)
    for manifest in manifests:
        for key in needed(manifest):
            found[key].append(manifest.full_name)
    return found


def _bytes(removal: Removal, by_trial: Mapping[str, Sequence[StoredFile]]) -> int:
    return sum(f.size for f in removal.files) + sum(f.size for key in removal.trials for f in by_trial.get(key, ()))
