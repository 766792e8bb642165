"""What every network promises, at every data set's shape."""

import pytest
import torch
from pydantic import ValidationError

from advsweep.testing import ModelContract
from trainables import config
from trainables.config.terms.registry import MODEL
from trainables.models import build_model


class TestNetworks(ModelContract):
    datasets = tuple({info[:3]: dataset for dataset, info in config.DATASETS.items()}.values())

    def specs(self):
        return [config.Model(name=name, width=4) for name in MODEL.entries]


def test_a_network_may_normalise_each_channel():
    mean, std = (0.49, 0.48, 0.45), (0.2, 0.25, 0.3)
    info = config.DATASETS["cifar10"]
    plain = build_model(config.Model(name="lenet", width=4), config.NoModule(), info, seed=0).double().eval()
    model = config.Model(name="lenet", width=4, normalise=True, mean=mean, std=std)
    ours = build_model(model, config.NoModule(), info, seed=0).eval()
    assert ours.state_dict().keys() == plain.state_dict().keys()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scaled = torch.stack([(x[:, c].double() - mean[c]) / std[c] for c in range(3)], 1)
    torch.testing.assert_close(ours(x).logits.double(), plain(scaled).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mean": (0.4,)}, r"need normalise=true"),
        ({"normalise": True, "mean": (0.4, 0.4)}, r"model.mean = \[0.4, 0.4\]: must be 1 or 3 numbers for cifar10"),
        ({"normalise": True, "std": (0.0,)}, r"greater than 0"),
    ],
)
def test_a_normalisation_that_makes_no_sense_is_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        config.TrialConfig(model={"name": "lenet", **fields})
