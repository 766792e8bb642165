"""Which drivers share the update of MLflow and Optuna: those that show the same places."""

from dataclasses import replace

import pytest

from orchestrator.execution.options import Options
from orchestrator.execution.upkeep.views import _claim_name
from orchestrator.record.sharing.claims import VIEWS
from orchestrator.record.store import Store


def test_the_views_in_a_storage_have_one_writer(store, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert _claim_name(store, Options()) == VIEWS
    assert _claim_name(store, Options(concurrent=1)) == VIEWS


@pytest.mark.parametrize("uri", ["http://one:5000", "sqlite:///elsewhere.db"])
def test_views_elsewhere_have_a_writer_of_their_own(store, monkeypatch, uri):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with_optuna = replace(Options(), optuna="sqlite:///studies.db")
    names = {_claim_name(store, Options()), _claim_name(store, with_optuna)}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    names |= {_claim_name(store, Options()), _claim_name(store, with_optuna)}
    assert len(names) == 4
    assert all("." not in name and "/" not in name for name in names)


def test_in_an_object_store_each_folder_has_its_own_database(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    names = set()
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        names.add(_claim_name(Store("mock:///record"), Options()))
    assert len(names) == 2
    assert VIEWS not in names
