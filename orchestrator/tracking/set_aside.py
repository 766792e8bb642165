"""Damaged files of views, which are kept under another name and made anew from the record."""

from pathlib import Path


def set_aside(file: Path, *beside: Path) -> str:
    """Rename a damaged file, and those that belong to it, so that they end with ``.damaged``; return a line that says so."""
    count = 1
    while (ending := ".damaged" + (f"-{count}" if count > 1 else "")) and file.with_name(file.name + ending).exists():
        count += 1
    for one in (file, *beside):
        if one.exists():
            one.rename(one.with_name(one.name + ending))
    return f"{file} is damaged; it is kept as {file.name + ending}, and made anew from the record"
