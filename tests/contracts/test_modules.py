"""What every inserted module promises: of the built-ins, at every position of two networks."""

from advsweep.testing import ModuleContract
from advsweep.testing.cases import RESNET, named
from tests.support.contract_cases import EVERY_MODULE, Registered, specs
from trainables import config


class TestModules(Registered, ModuleContract):
    models = (RESNET, config.Model(name="wrn-28", width=4))

    def specs(self):
        return [named(name) for name in EVERY_MODULE[1:]]

    def placed(self, spec, model, positions):
        if spec.name == "cifs":  # one probe a position, of another depth each
            depth = tuple((1, 0, 3, 2)[i % 4] for i in range(len(positions)))
            spec = spec.model_copy(update={"layers": None, "probes": ("mlp",), "depth": depth})
        return super().placed(spec, model, positions)


def test_the_configuration_and_the_table_hold_the_same_names():
    assert specs(config.Module).keys() == set(EVERY_MODULE)
