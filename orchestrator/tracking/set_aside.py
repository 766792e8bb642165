"""Damaged files of views, which are kept under another name and made anew from the record."""

from pathlib import Path


def set_aside(file: Path, *beside: Path) -> Path:
    """Rename a damaged file, and those that belong to it, so that they end with ``.damaged``; return its new path."""
    count, ending = 1, ".damaged"
    while file.with_name(file.name + ending).exists():
        count += 1
        ending = f".damaged-{count}"
    for one in (file, *beside):
        if one.exists():
            one.rename(one.with_name(one.name + ending))
    return file.with_name(file.name + ending)


def note(file: Path, kept: Path) -> str:
    """Say in one line that a damaged file was set aside."""
    return f"{file} was damaged; it is kept as {kept.name}, and made anew from the record"
