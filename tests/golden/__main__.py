"""Write or compare golden values: ``python -m tests.golden write|check plans|keys|plugin|methods|demo [STORAGE]``."""

import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

# Wider vectors add floats in another order, and draw other random numbers. Read as torch is imported, so set before that.
os.environ.update(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2")

from tests.support.shared import share_in

HERE = Path(__file__).parent


def collect(kind: str, storage: str = "") -> dict[str, Any]:
    """Compute the present values of one kind."""
    module = import_module(f"tests.golden.{kind}")
    found: dict[str, Any] = dict(module.values(storage) if kind == "demo" else module.values())
    return found


def main(action: str, kind: str, *rest: str) -> int:
    """Write the values, or print those that differ; returns the exit code."""
    now = json.loads(json.dumps(collect(kind, *rest)))
    file = HERE / f"{kind}.json"
    if action == "write":
        file.write_text(json.dumps(now, indent=0, sort_keys=True) + "\n")
        return 0
    before = json.loads(file.read_text())
    differ = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    for name in differ:
        print(f"{name}\n  before {before.get(name)}\n  now    {now.get(name)}")
    print(f"{kind}: {len(differ)} of {len(before)} differ")
    return bool(differ)


with tempfile.TemporaryDirectory() as folder:
    share_in(Path(folder))
    sys.exit(main(*sys.argv[1:]))
