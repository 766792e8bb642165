"""Take studies along: a storage of their own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.record.files import BrokenRecordError
from orchestrator.api.records import damaged, existing_store, storage_errors
from orchestrator.api.terms import STORAGE, Names, as_names
from orchestrator.errors import BadInput
from orchestrator.record import export as exporting

if TYPE_CHECKING:
    from analysis.record.manifest import Manifest


#: How the names of archives end that are not written, and surely were not meant as names of folders.
_ARCHIVES = frozenset({".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})


@dataclass(frozen=True)
class Exported:
    """What :func:`export` wrote: the ``place``, the ``studies`` by their full names, and numbers of trials, files and bytes."""

    place: Path
    studies: tuple[str, ...]
    trials: int
    files: int
    size: int


def export(
    names: Names, to: Path | str, *, variant: str | None = None, weights: bool = False, storage: str = STORAGE
) -> Exported:
    """Copy studies that were run to a storage of their own, which makes their tables and figures on any machine.

    Every file is verified as it is copied. States are left out, so nothing can go on with the trainings.

    Args:
        names: studies by name, alias or pattern, in every variant.
        to: a new folder, or a new file that ends in ``.zip``.
        variant: only variants of this name or pattern, such as ``demo*``.
        weights: whether to copy the trained networks too, for further attacks and :func:`load_model`.
        storage: a folder or URI.

    Raises:
        BadInput: no such study was run here, or ``to`` is there already or cannot be written.
        Unavailable: there is no storage, or a file of it is damaged.

    >>> import advsweep
    >>> advsweep.export("cifs/table-5", "paper", storage="results").trials
    4
    >>> ours, theirs = (advsweep.table("cifs/table-5", storage=place) for place in ("results", "paper"))
    >>> advsweep.render(ours) == advsweep.render(theirs)
    True
    """
    store, place = existing_store(storage), Path(to).expanduser()
    if place.suffix.lower() in _ARCHIVES:
        raise BadInput(f"--to {str(to)!r}: of archives only .zip is written; name a new file that ends so, or a new folder")
    with storage_errors(storage):
        chosen = chosen_studies(store.manifests(), as_names(names), variant, store.uri)
    if place.exists() and (place.is_file() or any(place.iterdir())):
        raise BadInput(f"--to {str(to)!r}: is there already; name a new folder, or a new file that ends in .zip")
    try:
        copied = exporting.export(store, chosen, place, weights)
    except OSError as error:
        raise BadInput(f"--to {str(to)!r} cannot be written: {error.strerror or error}") from error
    except BrokenRecordError as error:
        raise damaged(storage, error) from error
    return Exported(place, tuple(m.full_name for m in chosen), copied.trials, copied.files, copied.size)


def chosen_studies(
    manifests: Iterable["Manifest"], names: Sequence[str], variant: str | None, storage: str
) -> "list[Manifest]":
    """Choose manifests by the names, aliases or patterns of their studies, and by their variant.

    Raises:
        BadInput: nothing fits one of the names.
    """
    chosen = []
    manifests = list(manifests)
    for name in names:
        of_name = [m for m in manifests if any(fnmatchcase(own, name) for own in m.names)]
        found = [m for m in of_name if variant is None or m.variant == variant or fnmatchcase(m.variant, variant)]
        if not found:
            what = f"--variant {variant!r}: no such variant of {name!r}" if of_name else f"no study {name!r}"
            there = ", ".join(m.full_name for m in of_name or manifests) or "no study yet"
            raise BadInput(f"{what} in --storage {storage!r}, which holds: {there}")
        chosen += [m for m in found if m not in chosen]
    return chosen
