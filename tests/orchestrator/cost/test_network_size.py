"""Multiply-adds from a configuration, compared with torch's count of the network."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from orchestrator.cost.network_size import multiply_adds
from trainables.config import DATASETS, Data, Model, NoModule, TrialConfig
from trainables.config.terms.registry import MODEL
from trainables.models import build_model
from trainables.rng import generator

WIDTHS = {"lenet": 6}


def counted(model, module, dataset):
    """Return torch's count of multiply-adds: half of its operations."""
    info = DATASETS[dataset]
    network = build_model(model, module, info, seed=0).eval()
    network.draw_from(generator(0, "module"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, info.channels, info.size, info.size))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("dataset", ["digits", "mnist", "cifar100", "tiny-imagenet"])
@pytest.mark.parametrize("name", MODEL.entries)
def test_the_multiply_adds_of_a_network_are_what_torch_counts(name, dataset):
    model = Model(name=name, width=WIDTHS.get(name, 8))
    assert multiply_adds(model, NoModule(), DATASETS[dataset]) == counted(model, NoModule(), dataset)


def test_the_papers_networks():
    def billions(name, width):
        return round(multiply_adds(Model(name=name, width=width), NoModule(), DATASETS["cifar10"]) / 1e9, 2)

    assert (billions("resnet-18", 64), billions("wrn-34", 160)) == (0.56, 6.66)


@pytest.mark.parametrize(
    "module",
    [
        {"name": "cas", "positions": ("P2", "P1")},
        {"name": "cifs", "positions": ("P2", "P1"), "probes": ("mlp", "linear")},
        {"name": "cifs", "positions": ("P2", "P1"), "probes": ("mlp",), "depth": (2, 3), "hidden": 48},
        {"name": "fsr", "positions": ("block2",)},
        {"name": "fsr", "positions": ("P2", "P1"), "separation": "random"},
        {"name": "kwta"},
        {"name": "sap"},
    ],
    ids=lambda module: " ".join(map(str, module.values())),
)
@pytest.mark.parametrize("name", ["resnet-18", "wrn-28", "vgg-16", "lenet"])
def test_inserted_modules_are_counted_too(module, name):
    model = Model(name=name, width=8)
    positions = module.get("positions", ("P1",))
    config = TrialConfig.model_validate(
        {"data": Data(dataset="digits"), "model": model, "module": {**module, "positions": positions}}
    )
    there = counted(model, config.module, "digits")
    assert multiply_adds(model, config.module, DATASETS["digits"]) == pytest.approx(there, rel=0.02)
