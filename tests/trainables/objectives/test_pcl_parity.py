"""PCL against the numbers of its authors' code: one batch through their training, of a small network of ours.

Repository aamir-mustafa/pcl-adversarial-defense, commit 3724258: ``train`` of ``pcl_training`` and of
``pcl_training_adversarial_pgd`` with their defaults, in float64, and an attack that returns the adversarial images below. Their
distances of the other features, of 1024 units, are replaced by 0. Weights and prototypes are filled from torch's generator with
seeds 1 and 2.
"""

from typing import Any

import pytest
import torch
from torch import nn

from tests.support.parity import fill, summary
from trainables.config import DATASETS, PCL, Data, Model, Training, TrainingPGD, TrialConfig
from trainables.models import build_model
from trainables.objectives import build_learner

#: The three losses; two numbers of all weights after the step, of the gradient that made it (with weight decay), of the
#: prototypes after theirs, and of the running means.
CODE: dict[str, dict[str, Any]] = {
    "natural": {
        "losses": (6.285000855130527, 188.55734324834035, 185.41976208863412),
        "push": 1e-4,
        "network": (26.823909730099892, 7.750933221669364),
        "gradient": (134.82287742351593, -89.48394952994555),
        "w": (6.754523601025534, 6.011259545000225),
        "v": (4.682107188579455, -2.4578833280590704),
        "means": (2.6873431982198492, -0.9225263013942938),
    },
    "adversarial": {
        "losses": (6.1920170567892745, 189.0148277351228, 185.71331548022027),
        "push": 1e-5,
        "network": (26.824096436435145, 8.17453865696082),
        "gradient": (135.63077916921372, -131.84449305909098),
        "w": (6.6841046294198785, 6.238446182943029),
        "v": (4.682054927340138, -2.457884719303362),
        "means": (2.693891374972389, -0.9044227122895876),
    },
}


@pytest.mark.parametrize("images", CODE)
def test_a_step_is_the_authors(images):
    code = CODE[images]
    trial = TrialConfig(
        data=Data(dataset="digits"),
        model=Model(name="resnet-10", width=4),
        objective=PCL(warmup=0, push=code["push"], lr_push=code["push"]),
        attack=TrainingPGD(eps=0.1, step=0.05, iterations=1) if images == "adversarial" else None,
        training=Training(lr=0.01, weight_decay=1e-4),
    )
    ours = build_learner(trial, build_model(trial.model, trial.module, DATASETS["digits"], 0).train(), 1)
    ours.network.double()
    ours.own.double()
    fill(ours.network.parameters(), 1)
    fill([ours.own.w, ours.own.v], 2)
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.rand(8, 1, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    y = torch.randint(10, (8,), generator=generator)
    value, _ = ours.learn(x, (x + 0.3 * (noise - 0.5)).clamp(0, 1) if images == "adversarial" else x, y)

    ce, pull, push = code["losses"]
    assert value.mean().item() == pytest.approx(ce + pull - code["push"] * push, rel=1e-12)
    network = list(ours.network.parameters())
    state = ours.optimizers["network"].state
    assert summary(state[p]["momentum_buffer"] for p in network) == pytest.approx(code["gradient"], rel=1e-9)
    assert summary(network) == pytest.approx(code["network"], rel=1e-9)
    assert summary([ours.own.w]) == pytest.approx(code["w"], rel=1e-9)
    assert summary([ours.own.v]) == pytest.approx(code["v"], rel=1e-9)
    means = (m.running_mean for m in ours.network.modules() if isinstance(m, nn.BatchNorm2d))
    assert summary(means) == pytest.approx(code["means"], rel=1e-9)
