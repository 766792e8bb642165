"""The storage of Optuna's studies."""

import optuna
import pytest

from orchestrator.errors import BadInput, Unavailable
from orchestrator.tracking.optuna_storage import default_url, open_storage


@pytest.mark.parametrize("form", ["{}/studies.journal", "sqlite:///{}/studies.db"])
def test_a_storage_that_is_opened_again_holds_its_studies(tmp_path, form):
    url = form.format(tmp_path)
    optuna.create_study(storage=open_storage(url), study_name="mine/beta").add_trial(optuna.create_trial(value=1.0))
    again = optuna.load_study(storage=open_storage(url), study_name="mine/beta")
    assert again.best_value == 1.0


def test_the_default_is_a_journal_in_the_storage(store):
    store.create()
    url = default_url(store)
    open_storage(url)
    assert url.startswith(store.root)


@pytest.mark.parametrize("url", ["mongo://here/there", "postgresql+nothing://here"])
def test_an_unsupported_url_is_refused(url):
    with pytest.raises(BadInput, match=r"^--optuna '.*': .*; write the path of a journal, or a URL such as"):
        open_storage(url)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "/nowhere/at/all.journal"])
def test_a_storage_that_cannot_be_reached_is_an_error(url):
    with pytest.raises(Unavailable, match=r"^--optuna '.*' cannot be reached: "):
        open_storage(url)
