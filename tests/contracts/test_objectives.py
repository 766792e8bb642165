"""What every objective promises, on networks with every module."""

from advsweep.testing import LearnerContract, ObjectiveContract
from tests.support.contract_cases import Registered, spec, specs
from trainables import config
from trainables.config.terms.registry import OBJECTIVE


def every(learners):
    """Those that are functions, or the ``learners``, which have weights or optimisers of their own."""
    return [small(name) for name in specs(config.Objective) if isinstance(OBJECTIVE.load(name), type) == learners]


def small(name):
    """With whatever the objective leaves to later epochs from the first one on."""
    later = {"warmup": 0} if "warmup" in specs(config.Objective)[name].model_fields else {}
    return spec(config.Objective, name, **later)


class TestObjectives(Registered, ObjectiveContract):
    def specs(self):
        return every(learners=False)


class TestLearners(Registered, LearnerContract):
    def specs(self):
        return every(learners=True)


def test_most_objectives_are_functions():
    assert len(every(learners=False)) == len(specs(config.Objective)) - 2
