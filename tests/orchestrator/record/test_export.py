"""An export is a storage of its own that makes the same tables and figures, whole or not at all."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import advsweep
from analysis.record.names import FileName
from orchestrator.api.tables import Format
from orchestrator.planning.plan import Plan
from orchestrator.record.compaction import compact
from orchestrator.record.inventory import Kind, inventory
from orchestrator.record.store import Store
from tests.orchestrator.record.test_store import failure_row
from tests.support.command_line import here, newest_file
from tests.support.recorded_study import WEIGHTS, other_study, recorded_study
from tests.support.tiny_study import EPOCHS
from tests.support.untrained_trials import write
from trainables.config import attack_key

FORMATS: tuple[Format, ...] = ("text", "md", "latex", "csv", "html")


@pytest.fixture
def study(tmp_path: Path) -> tuple[Store, Plan]:
    return recorded_study(tmp_path / "storage")


def same(ours: str, theirs: str, study: str = "tiny/table") -> None:
    """Check that two storages make the same table in every format, and the same figure."""
    tables = [advsweep.table(study, storage=storage) for storage in (ours, theirs)]
    for form in FORMATS:
        one, other = (advsweep.render(table, form) for table in tables)
        assert one == other
    frames, others = (advsweep.figure(study, storage=storage) for storage in (ours, theirs))
    assert frames.keys() == others.keys()
    for title, frame in frames.items():
        pd.testing.assert_frame_equal(frame, others[title])
    assert advsweep.checkpoints(study, storage=ours)[0].seed == advsweep.checkpoints(study, storage=theirs)[0].seed


def kinds(folder: Path) -> set[str]:
    """Return what an export's files hold, by the names of tables."""
    names = (FileName.parse(path.name) for path in folder.rglob("*.*") if path.is_file())
    return {name.table for name in names if name}


def test_a_folder_makes_the_same_table_after_the_storage_is_gone(study: tuple[Store, Plan], tmp_path: Path) -> None:
    store, made = study
    store.write_manifest(other_study(made))
    write(store, replace(made.trials[0], key="another"))
    asked = made.trials[0].evaluations[0]
    failed = {"trial": made.trials[0].key, "checkpoint": asked.checkpoint, "attack": attack_key(asked.attack)}
    store.write_failures(made.trials[0].key, "x", [failure_row("another", "too steep", **failed)])
    compact(store)
    original = tmp_path / "original"
    done = here("export", "tiny/table", "--to", tmp_path / "new" / "paper", "--storage", store.uri)
    assert (done.code, done.err) == (0, "")
    assert f"advsweep table tiny/table --storage {tmp_path}/new/paper" in done.out
    shutil.move(store.root, original)
    moved = shutil.move(tmp_path / "new" / "paper", tmp_path / "elsewhere")
    same(str(original), str(moved))
    exported = Store(str(moved))
    assert exported.trials().keys() == {trial.key for trial in made.trials}
    assert [m.study for m in exported.manifests()] == ["tiny/table"]
    assert kinds(moved) == {"trial", "evaluations", "outcomes", "failures"}
    assert exported.index() == Store(str(original)).index(exported.trials())
    assert {file.kind for file in inventory(exported)}.isdisjoint({Kind.OTHER, Kind.STATES})
    assert [path.name for path in (tmp_path / "new").iterdir()] == []


def test_a_zip_file_is_the_same_folder(study: tuple[Store, Plan], tmp_path: Path) -> None:
    store, _ = study
    file = tmp_path / "paper.zip"
    done = here("export", "tiny/*", "--to", file, "--storage", store.uri)
    assert f"unzip {file} -d paper && advsweep table tiny/table --storage paper" in done.out
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "paper")
    same(store.uri, str(tmp_path / "paper"))
    ended = here("table", "tiny/table", "--storage", file)
    assert (ended.code, ended.err) == (2, f"advsweep: --storage '{file}' is a zip file: unzip it, and name the folder\n")


def test_weights_come_along_on_request_and_states_never(study: tuple[Store, Plan], tmp_path: Path) -> None:
    store, made = study
    done = advsweep.export(["tiny/table"], tmp_path / "paper", weights=True, storage=store.uri)
    exported, files = Store(str(tmp_path / "paper")), [*(tmp_path / "paper").rglob("*.*")]
    assert kinds(tmp_path / "paper") == {"trial", "evaluations", "outcomes", "weights"}
    assert exported.read_weights(made.trials[0].key, EPOCHS) == WEIGHTS + bytes([EPOCHS])
    found = [path for path in files if path.is_file()]
    assert (done.files, done.size) == (len(found), sum(path.stat().st_size for path in found))


def test_an_export_of_an_export_is_the_same(study: tuple[Store, Plan], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    advsweep.export("tiny/table", first, storage=study[0].uri)
    advsweep.export("tiny/table", second, storage=str(first))
    one, other = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.*") if p.is_file()} for f in (first, second))
    assert one == other


def test_a_variant_is_chosen(study: tuple[Store, Plan], tmp_path: Path) -> None:
    store, made = study
    store.write_manifest(replace(other_study(made), study="tiny/table"))
    done = advsweep.export("tiny/small", tmp_path / "few", variant="demo", storage=store.uri)
    assert done.studies == ("tiny/table (demo)",)
    assert advsweep.export("tiny/table", tmp_path / "one", variant="demo@*", storage=store.uri).trials == 2
    assert len(advsweep.export("tiny/table", tmp_path / "both", storage=store.uri).studies) == 2


def test_a_damaged_file_is_named_and_nothing_is_left(study: tuple[Store, Plan], tmp_path: Path) -> None:
    store, made = study
    file = newest_file(Path(store.root), made.trials[-1].key, "outcomes")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    before = sorted(tmp_path.iterdir())
    for place in ("paper", "paper.zip"):
        ended = here("export", "tiny/table", "--to", tmp_path / place, "--storage", store.uri)
        assert ended.code == 2
        assert str(file) in ended.err
        assert sorted(tmp_path.iterdir()) == before


def test_an_archive_that_is_not_written_is_no_folder(study: tuple[Store, Plan], tmp_path: Path) -> None:
    ended = here("export", "tiny/table", "--to", tmp_path / "x.tar", "--storage", study[0].uri)
    assert (ended.code, ended.out) == (2, "")
    assert "of archives only .zip is written" in ended.err
    assert not (tmp_path / "x.tar").exists()


def test_what_is_there_is_never_written_over(study: tuple[Store, Plan], tmp_path: Path) -> None:
    store, _ = study
    file, folder, empty = tmp_path / "a.zip", tmp_path / "full", tmp_path / "empty"
    file.write_bytes(b"mine")
    folder.mkdir()
    (folder / "mine").touch()
    empty.mkdir()
    for place in (file, folder, Path(store.root)):
        ended = here("export", "tiny/table", "--to", place, "--storage", store.uri)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert "is there already; name a new folder" in ended.err
    assert (file.read_bytes(), [p.name for p in folder.iterdir()]) == (b"mine", ["mine"])
    advsweep.export("tiny/table", empty, storage=store.uri)
    same(store.uri, str(empty))


def test_a_place_that_cannot_be_written_is_one_line(study: tuple[Store, Plan], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = here("export", "tiny/table", "--to", tmp_path / "file" / "paper", "--storage", study[0].uri)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "cannot be written" in ended.err
    assert here("export", "tiny/none", "--to", tmp_path / "x", "--storage", study[0].uri).code == 2


def test_a_file_that_a_run_replaces_meanwhile_is_copied_in_its_new_version(
    study: tuple[Store, Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, made = study
    trial, read = made.trials[2], Store.read_file
    written: list[FileName] = []

    def replaced(self: Store, key: str, name: FileName) -> bytes:
        if key == trial.key and not written:
            written.append(name)
            write(store, trial, robust=[0.25, 0.5, 0.75])
        return read(self, key, name)

    monkeypatch.setattr(Store, "read_file", replaced)
    advsweep.export("tiny/table", tmp_path / "paper", storage=store.uri)
    assert [row["robust_accuracy"] for row in Store(str(tmp_path / "paper")).read_epochs(trial.key)] == [0.25, 0.5, 0.75]
