"""Of a test with several axes, so many cases run always that each value stands in one; the others run in `make test-all`."""

from collections import defaultdict

import pytest

from tests.support.pairwise import cover
from trainables.plugins.promises import global_generators_untouched


@pytest.fixture(autouse=True)
def _global_generators_untouched():
    """No function of this package reads or changes a global generator, so neither does any test of it."""
    with global_generators_untouched():
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = defaultdict(list)
    for item in items:
        if item.cls is not None and item.path.parent.name == "contracts" and len(item.callspec.params) > 1:
            tests[item.cls, item.originalname].append(item)
    for of_one in tests.values():
        axes = sorted(of_one[0].callspec.params)
        cases = {tuple(item.callspec.params[axis] for axis in axes): item for item in of_one}
        for case in cases.keys() - {*cover(list(cases), together=1)}:
            cases[case].add_marker(pytest.mark.slow)
