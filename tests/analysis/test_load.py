"""Reading the record and the manifests."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.record.files import BrokenRecordError, StorageNotFoundError
from analysis.record.load import ManifestNotFoundError, array, find_manifest, load, manifests, with_settings
from analysis.record.manifest import Read
from analysis.record.names import FileName
from analysis.record.schema import EPOCHS, EVALUATIONS, MEASURES, TRIAL
from tests.support.handmade_record import Storage, arm, manifest, ranks, share


def test_everything_that_was_written_is_read(storage: Storage) -> None:
    storage.evaluated("a", natural=9, FGSM0=5)
    storage.evaluated("b", natural=7)
    record = storage.load()
    assert set(record.trials["trial"]) == {"a", "b"}
    assert list(record.epochs.columns) == EPOCHS.names
    assert list(record.evaluations.columns) == EVALUATIONS.names
    assert record.epochs.groupby("trial")["epoch"].agg(list).to_dict() == {"a": [1, 2, 3, 4, 5], "b": [1, 2, 3, 4, 5]}
    found = record.evaluations.set_index("evaluation")
    assert found["accuracy"].to_dict() == {"a-last-natural": 0.9, "a-last-FGSM0": 0.5, "b-last-natural": 0.7}
    (row,) = record.evaluations[record.evaluations["evaluation"] == "a-last-FGSM0"].itertuples()
    assert record.outcomes.of(row).ranks.tolist() == ranks("1111100000")


def test_only_the_named_trials_are_read(storage: Storage) -> None:
    storage.evaluated("a", natural=9)
    storage.evaluated("b", natural=7)
    next((storage.root / "trials/b").glob("trial-*")).write_bytes(b"never opened")
    record = storage.load(["a", "a", "not-there-yet"])
    for frame in (record.trials, record.epochs, record.evaluations):
        assert set(frame["trial"]) == {"a"}


@pytest.mark.parametrize("trials", [None, []])
def test_a_storage_without_trials_gives_empty_frames(storage: Storage, trials: list[str] | None) -> None:
    record = storage.load(trials)
    assert list(record.trials.columns) == [name for name in TRIAL.names if name != "history"]
    assert list(record.epochs.columns) == EPOCHS.names
    assert list(record.evaluations.columns) == EVALUATIONS.names
    assert list(record.measures.columns) == MEASURES.names
    assert len(record.trials) == len(record.epochs) == len(record.evaluations) == len(record.measures) == 0


def test_evaluations_on_validation_images_are_not_for_tables(storage: Storage) -> None:
    storage.trial("c0")
    storage.evaluation("c0", "a", share(5))
    storage.evaluation("c0", "b", share(9), spec={"name": "pgd", "split": "validation"})
    assert load(str(storage.root)).evaluations["attack"].tolist() == ["a"]


def test_what_is_json_in_the_record_is_read_once(storage: Storage) -> None:
    storage.trial("a")
    spec = {"name": "pgd", "eps": 0.1, "iterations": 3, "restarts": 2}
    for attack in ("x", "y"):
        storage.evaluation("a", attack, share(5), spec=spec)
    record = storage.load()
    first, second = record.evaluations["attack_spec"]
    assert first is second
    assert dict(first) == spec
    assert (first.name, first.budget) == ("pgd", ("linf", 0.1))
    assert (first.on_test_set, first.on_every_example) == (True, True)
    with pytest.raises(TypeError):
        first["eps"] = 0.2
    assert record.trials["config"][0]["training"] == {"epochs": 5}


def test_json_that_is_no_object_is_named(storage: Storage) -> None:
    storage.trial("a")
    storage.evaluation("a", "x", share(5), spec=["pgd"])
    with pytest.raises(BrokenRecordError, match=r'attack_spec: \["pgd"\]: must be a JSON object'):
        storage.load()


def test_a_manifest_comes_back_as_it_was(storage: Storage) -> None:
    reads = {"PGD-20": (Read("a", "2"), Read("b", "inf")), "AUC": (Read("n", eps=0.0), Read("c", "2", 0.1))}
    row = replace(arm("CAS", "ab"), reads=reads, measures={"Units": "m"}, training=("an epoch",))
    storage.manifest(made := manifest(row))
    assert manifests(str(storage.root)) == [made]
    assert row.columns == {"PGD-20", "AUC", "Units", "an epoch"}


def test_arrays_have_their_shape_again(storage: Storage) -> None:
    storage.trial("a")
    for values in ([1, 2, 3, 4, 5, 6], [0] * 6):  # the second writing of the same array does not count
        storage.measured("a", "matrix", [2, 3], values)
    storage.measured("a", "number", [], [7])
    record = storage.load()
    assert len(record.measures) == 2
    assert array(record, "a-m", "matrix").tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (array(record, "a-m", "number").shape, float(array(record, "a-m", "number"))) == ((), 7)
    with pytest.raises(KeyError, match="no array 'coordinates' of measurement 'a-m'"):
        array(record, "a-m", "coordinates")


def test_a_trial_may_have_recorded_little_or_nothing_yet(storage: Storage) -> None:
    storage.trial("a", "unfinished", epochs=0)
    (storage.root / "trials/b").mkdir()
    record = storage.load()
    assert list(record.trials["trial"]) == ["a"]
    assert len(record.epochs) == len(record.evaluations) == 0


def test_what_is_still_being_written_is_passed_over(storage: Storage) -> None:
    storage.evaluated("a", natural=9)
    storage.manifest(manifest(arm("CAS", "a")))
    folder = storage.root / "trials/a"
    (name,) = (file.name for file in folder.glob("evaluations-*"))
    for other in (f".{name}.1.tmp", f".{name}", f"{name}.tmp", "evaluations-3.parquet", "state.pt"):
        (folder / other).write_bytes(b"half")
    for name in (".b", "c.tmp"):
        shutil.copytree(folder, storage.root / "trials" / name)
    (storage.root / "studies/cifs/modules/.demo.json").write_text("{")
    record = storage.load()
    assert len(record.trials) == len(record.evaluations) == 1
    assert len(manifests(str(storage.root))) == 1


def test_an_evaluation_written_twice_counts_once(storage: Storage) -> None:
    storage.trial("a")
    for _ in range(2):
        storage.evaluation("a", "natural", share(9))
        storage.evaluation("a", "natural", share(8), head="1")
    found = storage.load().evaluations
    assert sorted(zip(found["head"], found["accuracy"], strict=True)) == [("1", 0.8), ("final", 0.9)]


def test_trials_may_set_different_fields_of_different_types(storage: Storage) -> None:
    storage.trial("a", **{"module.beta": 2, "attack": "pgd", "probes": ["mlp"]})
    storage.trial("b", **{"module.beta": 0.5, "attack": 7, "probes": "linear"})
    storage.trial("c", seed_only=1)
    trials = with_settings(storage.load().trials).set_index("trial")
    assert trials["config.module.beta"].dropna().to_dict() == {"a": 2, "b": 0.5}
    assert trials["config.attack"].dropna().to_dict() == {"a": "pgd", "b": 7}
    assert trials["config.probes"].dropna().to_dict() == {"a": ["mlp"], "b": "linear"}
    assert trials["config.seed_only"].dropna().to_dict() == {"c": 1}


def test_a_uri_is_as_good_as_a_path(storage: Storage) -> None:
    storage.evaluated("a", natural=9)
    storage.manifest(manifest(arm("CAS", "a")))
    uri = storage.root.as_uri()
    assert load(uri).evaluations["accuracy"].tolist() == [0.9]
    assert find_manifest(uri, "cifs/modules") == find_manifest(str(storage.root), "cifs/modules")


def test_a_missing_storage_is_named(tmp_path: Path) -> None:
    for read in (load, manifests, lambda uri: find_manifest(uri, "cifs/modules")):
        with pytest.raises(StorageNotFoundError, match=r"no storage at .*nowhere"):
            read(str(tmp_path / "nowhere"))


def test_an_unreadable_file_is_named(storage: Storage) -> None:
    storage.trial("a")
    storage.evaluation("a", "natural", share(5))
    (file,) = (storage.root / "trials/a").glob("evaluations-*")
    file.write_bytes(b"not parquet, but long enough to be read as such")
    with pytest.raises(BrokenRecordError, match=re.escape(f"{file} is damaged")):
        storage.load()
    file.unlink()
    data = b"not parquet, and never was"
    other = file.with_name(str(FileName.of("evaluations", "1", 1, data, "parquet")))
    other.write_bytes(data)
    with pytest.raises(BrokenRecordError, match=re.escape(f"{other} is not readable")):
        storage.load()
    storage.manifest(manifest())
    (storage.root / manifest().path).write_text("{}")
    with pytest.raises(BrokenRecordError, match=r"modules/demo\.json"):
        manifests(str(storage.root))


def test_the_newest_variant_wins(storage: Storage) -> None:
    made = manifest(arm("CAS", "ab"))
    older = replace(made, variant="demo@seeds=9", created="2026-11-19T10:00:00+00:00")
    newest = replace(made, variant="short", profile="short", created="2026-11-21T10:00:00+00:00")
    for each in (made, older, newest):
        storage.manifest(each)
    root = str(storage.root)
    assert len(manifests(root)) == 3
    assert find_manifest(root, "cifs/modules") == newest
    assert find_manifest(root, "cifs/modules", "demo") == made
    assert find_manifest(root, "cifs/table-1", profile="demo") == made


def test_an_unknown_study_is_an_error_that_lists_the_known_ones(storage: Storage) -> None:
    root = str(storage.root)
    with pytest.raises(ManifestNotFoundError, match=r"no study 'cifs/modules' in .* no study yet"):
        find_manifest(root, "cifs/modules")
    storage.manifest(manifest())
    for wanted in (("cifs/beta", None), ("table-1", None), ("cifs/modules", "paper")):
        with pytest.raises(ManifestNotFoundError, match=r"holds: cifs/modules \(demo\)") as caught:
            find_manifest(root, *wanted)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("module", ["record.load", "stats", "tables", "render"])
def test_analysis_needs_neither_torch_nor_ray(module: str) -> None:
    heavy = "{'torch', 'torchvision', 'ray', 'mlflow', 'optuna', 'pydantic'}"
    code = f"import sys, analysis.{module}; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
