"""Take studies along: a storage of their own."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.api.records import chosen_studies, existing_store
from orchestrator.api.terms import STORAGE, Names, as_names
from orchestrator.errors import BadInput
from orchestrator.record import export as exporting


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
    chosen = chosen_studies(store.manifests(), as_names(names), variant, store.uri)
    if place.exists() and (place.is_file() or any(place.iterdir())):
        raise BadInput(f"--to {str(to)!r}: is there already; name a new folder, or a new file that ends in .zip")
    try:
        copied = exporting.export(store, chosen, place, weights)
    except OSError as error:
        raise BadInput(f"--to {str(to)!r} cannot be written: {error.strerror or error}") from error
    return Exported(place, tuple(m.full_name for m in chosen), copied.trials, copied.files, copied.size)
