"""What the contracts have in common."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from typing import Any, ClassVar, TypeVar
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from advsweep.testing.cases import FEW, RESNET, first, learned, seeded
from trainables import config
from trainables.models import Network
from trainables.plugins.promises import check_restored, global_generators_untouched

T = TypeVar("T", bound=Callable[..., None])


class Contract:
    """Tests of one specification, with small settings, on networks with several modules.

    Attributes:
        spec: the plugin's specification.
        modules: names of registered modules; those that are inserted in the networks that the plugin is tried on.
    """

    spec: ClassVar[Any]
    modules: ClassVar[Sequence[str]] = ("none", "cas", "sap")

    def specs(self) -> Sequence[Any]:
        """Every specification that is tested; of a plugin that has several ways to work, override it."""
        return [self.spec]

    def axes(self) -> dict[str, Sequence[Any]]:
        """Return the values that each argument of the tests takes."""
        return {"spec": self.specs(), "module": self.modules}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise a test by the axes that it names, but for those that it runs through by itself."""
        marks = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
        taken = {name for names in marks for name in ([names] if isinstance(names, str) else names)}
        fields = getattr(metafunc.function, "fields", ())
        for name, values in self.axes().items():
            if name in metafunc.fixturenames and name not in taken:
                some = [v for v in values if name != "spec" or all(field in type(v).model_fields for field in fields)]
                metafunc.parametrize(name, some or [_none_has(fields)], ids=_identifier)

    @pytest.fixture(autouse=True)
    def _global_generators_untouched(self) -> Iterator[None]:
        with global_generators_untouched():
            yield

    def weights(self, module: config.Module, model: config.Model, steps: int) -> dict[str, Tensor]:
        """Return the state of a network that was trained for so many steps."""
        return learned(module, model, steps)

    def network(self, module: config.Module, model: config.Model = RESNET, steps: int = FEW) -> Network:
        """Make a separate network for a test, in training mode, with statistics and weights that are not the initial ones."""
        made = seeded(deepcopy(first(module, model)).train())
        made.load_state_dict(self.weights(module, model, steps))
        return made

    def test_a_specification_comes_back_from_the_record(self, spec: config.Spec) -> None:
        check_restored(spec)


def having(*fields: str) -> Callable[[T], T]:
    """Decorate a test of those specifications alone that have these fields."""

    def mark(test: T) -> T:
        test.fields = fields  # type: ignore[attr-defined]
        return test

    return mark


@contextmanager
def failing(network: Network, fails: bool) -> Iterator[None]:
    """Whatever happens meanwhile is as good as nothing if ``fails``: then the network breaks down at its last layer."""
    if fails:
        with patch.object(network.fc, "forward", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
            yield
    else:
        yield


def nothing_drawn() -> AbstractContextManager[None]:
    """Check that no library's global generator is drawn from meanwhile."""
    return global_generators_untouched(of=("torch", "numpy", "random"))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether tensors of the same names are the same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _none_has(fields: Sequence[str]) -> Any:
    return pytest.param(None, marks=pytest.mark.skip(reason=f"no specification has the field {' and '.join(fields)}"))


def _identifier(value: Any) -> str | None:
    if isinstance(value, config.Spec):
        return getattr(value, "name", None) or getattr(value, "dataset", None)
    if isinstance(value, tuple):
        return "-".join(_identifier(part) or str(part) for part in value)
    return None
