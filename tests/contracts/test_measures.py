"""What every measure promises, on networks with every module and through a trial; and what a trial promises of measures."""

from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from advsweep.testing import MeasureContract
from advsweep.testing.measure import RANDOM, STEADY, small_trial
from tests.support.contract_cases import Registered, spec, specs
from trainables import config
from trainables.config.terms.registry import MEASURE, MODEL

#: Settings that fit few images.
SETTINGS = {"t-sne": {"perplexity": 3.0, "examples": 8}}


def small(name):
    """The named measure, of small attacks where it takes any."""
    attacks = {"attack": STEADY, "reference": config.FGSM(eps=0.1)}
    cls = specs(config.Measure)[name]
    return cls(**{field: value for field, value in attacks.items() if field in cls.model_fields}, **SETTINGS.get(name, {}))


class TestMeasures(Registered, MeasureContract):
    models = tuple(MODEL.entries)

    def specs(self):
        return [small(name) for name in specs(config.Measure)]

    def comparable(self, spec):
        """The steps of t-SNE carry rounding as far as the plane reaches: what goes in is compared."""
        if spec.name == "t-sne":
            return patch("trainables.measures.tsne.embed", lambda E, perplexity, seed: E)
        return nullcontext()


def same(one, other):
    return one.keys() == other.keys() and all(one[a].tobytes() == other[a].tobytes() for a in one)


def test_the_configuration_and_the_table_hold_the_same_names():
    assert list(MEASURE.entries) == list(specs(config.Measure))


@pytest.mark.parametrize("module", ["none", "cas", "fsr"])
@pytest.mark.parametrize("attack", [RANDOM, config.Natural()])
def test_the_images_are_those_of_the_evaluation(module, attack):
    """With random starts too, so an example's sensitivity lies beside its rank."""
    ours = small_trial(module=spec(config.Module, module))
    canonical = config.canonical_attack(attack, ours.spec.module)
    weights = ours.weights()
    final = ours.evaluate(canonical, weights, complete=True).ranks["final"]
    seen = []

    def record(spec, subject):
        for _, y, (x_adv,) in subject.batches(spec.attack):
            logits = subject.network(x_adv).logits
            seen.append((logits >= logits.gather(1, y[:, None])).sum(1) - 1)
        return {}

    stand_in = replace(MEASURE.entries["sensitivity"], implementation=record)
    with patch.dict(MEASURE.entries, {"sensitivity": stand_in}):
        ours.measure(config.Sensitivity(attack=attack), weights)
    ranks = torch.cat(seen).numpy()
    # What was broken on the way is wrong, though it may be right at the end.
    assert (np.maximum(ranks, final == 1) == final).all()
    assert (ranks == final).mean() > 0.9


def test_equal_measures_give_equal_arrays():
    ours = small_trial(module=config.CAS(positions=("P1",)))
    own, number = (RANDOM.model_copy(update={"beta_atk": beta}) for beta in ("own", "2"))
    one = ours.measure(config.Activations(attack=own), ours.weights())
    assert same(one, ours.measure(config.Activations(attack=number, position="block4.1"), ours.weights()))


def test_other_weights_than_the_trials_own_are_measured():
    ours, other = small_trial(), small_trial(seed=1)
    found = ours.measure(config.Dimensions(), other.weights())
    assert same(found, other.measure(config.Dimensions(), other.weights()))
    assert not same(found, ours.measure(config.Dimensions(), ours.weights()))


def test_what_is_not_there_is_named():
    ours = small_trial()
    with pytest.raises(ValueError, match=r"label = 10: must be less than 10"):
        ours.measure(config.Activations(label=10), ours.weights())
    aimed = config.FGSM(eps=0.1, beta_atk="inf-1")
    with pytest.raises(ValueError, match=r"beta_atk aims at a module that the network does not have"):
        ours.measure(config.Sensitivity(attack=aimed), ours.weights())


def test_the_test_sets_labels_are_in_the_order_of_the_ranks():
    ours = small_trial()
    assert ours.test_labels(config.Natural()).tolist() == ours._splits.test.labels.tolist()
