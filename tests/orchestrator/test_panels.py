"""A figure of several panels is shown by its own name, and each panel by its."""

import pytest

from orchestrator.api.tables import find_manifests
from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from search_spaces.catalog import find


def test_the_name_of_a_figure_is_that_of_all_panels_that_were_run(store):
    store.create()
    for manifest in plan(find("fsr/figure-s*"), "demo", seeds=1).manifests:
        store.write_manifest(manifest)

    def names(pattern):
        return [manifest.study for manifest in find_manifests(store.uri, pattern)]

    assert names("fsr/figure-s1") == ["fsr/figure-s1a", "fsr/figure-s1b", "fsr/figure-s1c"]
    assert names("fsr/figure-s2") == ["fsr/figure-s2a", "fsr/figure-s2b"]
    assert names("fsr/figure-s1b") == ["fsr/figure-s1b"]
    with pytest.raises(BadInput):
        names("fsr/figure-s3")
