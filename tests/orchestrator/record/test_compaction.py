"""Segments: whatever is compacted, lost, old or damaged, a reader sees what the trials' folders hold."""

import shutil
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.record.load import Record, load
from analysis.record.rows import segments
from analysis.record.schema import Status
from orchestrator.record import compaction
from orchestrator.record.compaction import Compacted, compact
from orchestrator.record.store import Store
from tests.orchestrator.record.test_store import epoch_row, evaluation_row, measure_row, trial_row


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FILES", 4)
    monkeypatch.setattr("analysis.record.rows.FEW", 0)


def write(store: Store, trial: str, value: int) -> None:
    """Write a trial with an evaluation and a measure, all of which depend on a value."""
    history = [epoch_row(i, lr=float(value)) for i in range(1, 1 + value % 3)]
    store.write_trial(trial_row(trial, reason=str(value), history=history))
    ranks = np.array([0] * value + [1] * (20 - value), np.uint16)
    store.write_evaluations(trial, "x", [evaluation_row(f"{trial}e", trial=trial, accuracy=value / 20, ranks=ranks)])
    store.write_measures(trial, "x", [measure_row(f"{trial}m", trial=trial, values=np.array(float(value)))])


def frames(record: Record) -> list[pd.DataFrame]:
    """Return the record's frames in an order that does not depend on how they were read."""
    keys = (["trial"], ["trial", "epoch"], ["evaluation", "head"], ["measurement", "array"])
    tables = (record.trials, record.epochs, record.evaluations, record.measures)
    return [table.sort_values(key, ignore_index=True) for table, key in zip(tables, keys, strict=True)]


def agree(store: Store, tmp_path: Path) -> None:
    """Check that a storage is read as the same folders without segments."""
    plain = tmp_path / "plain"
    shutil.rmtree(plain, ignore_errors=True)
    shutil.copytree(store.root, plain, ignore=shutil.ignore_patterns("segments"))
    for ours, theirs in zip(frames(load(store.uri)), frames(load(str(plain))), strict=True):
        pd.testing.assert_frame_equal(ours, theirs)
    assert store.index() == Store(str(plain)).index()
    some = sorted(store.trials())[::2]
    assert store.index(some) == {key: value for key, value in store.index().items() if key in some}


def test_files_are_covered_once(store: Store, tmp_path: Path) -> None:
    assert compact(store) == Compacted(0, 0)
    for i in range(9):
        write(store, f"t{i}", i)
    assert compact(store) == Compacted(6, 0)  # nine files of each of two tables, four in a segment
    agree(store, tmp_path)
    assert compact(store) == Compacted(0, 0)
    assert compact(store, least=1000) == Compacted(0, 0)


def test_segments_that_are_half_empty_are_written_anew(store: Store, tmp_path: Path) -> None:
    for i in range(8):
        write(store, f"t{i}", i)
    compact(store)
    before = segments(store)
    for i in (0, 1, 2, 5):  # three of the first segment's, one of the second's
        write(store, f"t{i}", 10 + i)
    agree(store, tmp_path)
    assert compact(store) == Compacted(4, 2)
    assert len(set(before) & set(segments(store))) == 2
    agree(store, tmp_path)


def test_covered_files_are_not_opened(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        write(store, f"t{i}", i)
    compact(store)
    opened: list[str] = []
    read = Store.read_table
    monkeypatch.setattr(Store, "read_table", lambda self, trial, *a: opened.append(trial) or read(self, trial, *a))
    assert len(store.index()) == 4
    assert sorted(opened) == ["t0", "t1", "t2", "t3"]  # the measures alone
    write(store, "t1", 7)
    opened.clear()
    assert store.index()["t1"].reason == "7"
    assert opened.count("t1") == 3


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed > 3 else ()) for seed in range(20)])
def test_any_order_of_writing_deleting_and_compacting_reads_as_the_plain_folders(
    store: Store, tmp_path: Path, seed: int
) -> None:
    """Two writers, a compaction that is killed at any of its writes, segments that are old, lost or damaged."""
    rng = np.random.default_rng(seed)
    store.create()
    other, kept = Store(store.uri), tmp_path / "kept"
    for step in range(25):
        trial = f"t{rng.integers(6)}"
        match rng.integers(8):
            case 0 | 1 | 2:
                write(store if step % 2 else other, trial, int(rng.integers(20)))
            case 3:
                compact(store)
            case 4:
                with pytest.MonkeyPatch.context() as patch:
                    killed_at(patch, int(rng.integers(4)))
                    with suppress(KeyboardInterrupt):
                        compact(other)
            case 5:
                shutil.rmtree(Path(store.root, "trials", trial), ignore_errors=True)
            case 6:  # an old copy of the segments comes back
                folder = Path(store.root, "segments")
                if kept.exists():
                    shutil.copytree(kept, folder, dirs_exist_ok=True)
                elif folder.exists():
                    shutil.copytree(folder, kept)
            case 7:
                for name in segments(store)[:1]:
                    file = Path(store.root, "segments", str(name))
                    data = bytearray(file.read_bytes())
                    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
                    file.write_bytes(data)
        agree(store, tmp_path)


def killed_at(patch: pytest.MonkeyPatch, n: int) -> None:
    """Kill a store before its n-th change of a file."""
    left = [n]

    def wrap(name: str) -> None:
        change = getattr(Store, name)

        def changed(self: Store, *args: object) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            change(self, *args)

        patch.setattr(Store, name, changed)

    wrap("write")
    wrap("delete")


def test_an_early_stopped_trial_that_goes_on_is_not_that_of_a_segment(store: Store) -> None:
    store.write_trial(trial_row("t", status=Status.EARLY_STOPPED, reason="pruned"))
    compact(store)
    store.write_trial(trial_row("t"))
    assert [row.status for row in load(store.uri).trials.itertuples()] == ["finished"]
    orders = [name.order for name in store.trials()["t"]]
    assert all(one < two for one, two in pairwise([*orders, 3]))
