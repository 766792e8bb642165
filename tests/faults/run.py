"""Seed faults in a copy of the product, one at a time, and check that the tests kill each.

``python -m tests.faults.run [NAME ...]``, where NAME is a fault's name or a pattern such as ``'apgd-*'``; all by default. The
exit code is 1 if a fault survives or cannot be seeded, or if the tests fail without a fault. A fault is killed by a test that
fails; a test file that cannot be collected proves nothing, and counts as an error.
"""

import compileall
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from py_compile import PycInvalidationMode

from tests.faults.fault import ROOT, Fault, faults, files_of, place, product_files

#: pytest's exit code where a test failed.
FAILED = 1


def main(patterns: Sequence[str]) -> int:
    """Try the faults that match the patterns; returns the exit code."""
    chosen = [fault for fault in faults() if not patterns or any(fnmatchcase(fault.name, pattern) for pattern in patterns)]
    if not chosen:
        print(f"there is no fault of the name {' or '.join(patterns)}")
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copy = Path(folder) / "copy"
        _copy(copy)
        if not _sound(chosen, copy):
            return 1
        outcomes = [_try(fault, copy) for fault in chosen]
    minutes = (time.monotonic() - began) / 60
    print(f"{len(outcomes)} faults: {sum(outcomes)} killed, {len(outcomes) - sum(outcomes)} not, in {minutes:.1f} minutes")
    return 0 if all(outcomes) else 1


def _copy(copy: Path) -> None:
    """Copy all files that git tracks, or would track, and compile them: only changed files are compiled again."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    compileall.compile_dir(copy, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)


def _sound(chosen: Iterable[Fault], copy: Path) -> bool:
    """Whether the faults' tests pass without a fault."""
    whole = sorted({file for fault in chosen if not fault.select for file in files_of(fault, copy)})
    parts = sorted({(tuple(files_of(fault, copy)), fault.select) for fault in chosen if fault.select})
    for files, select in [(whole, ""), *parts] if whole else parts:
        began = time.monotonic()
        ended = _pytest(files, select, copy)
        if ended.returncode != 0:
            print(f"without any fault the tests fail\n{ended.stdout}{ended.stderr}")
            return False
        print(f"no fault   {time.monotonic() - began:6.1f} s  {len(files)} files {select}".rstrip(), flush=True)
    return True


def _try(fault: Fault, copy: Path) -> bool:
    """Whether the tests kill this fault."""
    began = time.monotonic()
    try:
        files = product_files(copy)
        file = place(fault, files)
    except ValueError as error:
        print(f"NOT SEEDED           {error}", flush=True)
        return False
    file.write_text(files[file].replace(fault.was, fault.now), encoding="utf-8")
    try:
        code = _pytest(files_of(fault, copy), fault.select, copy).returncode
    finally:
        file.write_text(files[file], encoding="utf-8")
    outcome = {0: "SURVIVED", FAILED: "killed"}.get(code, f"ERROR {code}")
    print(f"{outcome:10} {time.monotonic() - began:6.1f} s  {fault.name}: {fault.meaning}", flush=True)
    return code == FAILED


def _pytest(files: Iterable[Path], select: str, copy: Path) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy in one process, slow ones too, up to the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "", "-p", "no:cacheprovider", "--tb=short", *map(str, files)]
    settings = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *(["-k", select] if select else [])],
        cwd=copy,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
