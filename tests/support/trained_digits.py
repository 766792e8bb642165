"""Three networks trained on the digits: on natural images, by adversarial training with PGD, and by TRADES."""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.shared import weights_once
from trainables import config
from trainables.attacks import Attacked, run_attack
from trainables.attacks.building_blocks.surrogate import JointLogits
from trainables.data.digits import digits
from trainables.models import Network, build_model
from trainables.trial import Trial

MODEL = config.Model(name="resnet-10", width=4)
ATTACK = config.TrainingPGD(eps=0.1, step=0.04, iterations=4)

TRAININGS: dict[str, dict[str, Any]] = {
    "standard": {"objective": config.Standard(), "attack": None},
    "AT": {"objective": config.AT(), "attack": ATTACK},
    "TRADES": {"objective": config.TRADES(), "attack": ATTACK.model_copy(update={"loss": "kl", "start": "gaussian"})},
}
EPOCHS = 8

#: The eps at which AT and TRADES lose about half of their accuracy.
EPS = 0.15


def _train(name: str) -> dict[str, Tensor]:
    training = config.Training(epochs=EPOCHS, batch_size=64, lr=0.1, schedule=config.OneCycle())
    selection = config.Selection(split="test", attack=config.Natural())
    data = config.Data(dataset="digits", validation=0, crop=0, flip=False)
    spec = config.TrialConfig(data=data, model=MODEL, training=training, selection=selection, **TRAININGS[name])
    trial = Trial(spec, config.Runtime(device="cpu", threads=1))
    while not trial.finished:
        trial.step()
    return trial.weights()


def robust(name: str) -> Network:
    """Return a copy of the network ``name`` in evaluation mode."""
    network = build_model(MODEL, config.NoModule(), config.DATASETS["digits"], seed=0)
    network.load_state_dict(weights_once(f"digits-{name}", lambda: _train(name)))
    return network.eval()


def logits(network: Network, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return the function from images to final logits that other libraries attack."""
    return JointLogits(network, (1.0,), dtype).eval()


@functools.cache
def examples(n: int = 500) -> tuple[Tensor, Tensor]:
    """Return n digits, the test set first: images (n, 1, 8, 8) in [0, 1], labels (n,)."""
    train, test = digits("digits", "", False)
    images, labels = (torch.cat(parts)[:n] for parts in ((test.images, train.images), (test.labels, train.labels)))
    return images.float() / 255, labels


def run(spec: config.Attack, network: Network, x: Tensor, y: Tensor, seed: int = 0) -> Attacked:
    """Run an attack on the final prediction."""
    return run_attack(spec, network, x, y, (1.0,), torch.Generator().manual_seed(seed))


def accuracy(network: Network, images: Tensor, y: Tensor) -> float:
    """Compute the accuracy in percent."""
    with torch.no_grad():
        return 100 * (network(images).logits.argmax(1) == y).double().mean().item()


#: The networks as cases of a test: the robust one always, the others in ``make test-all``.
TRAINING_CASES = [pytest.param(name, marks=() if name == "AT" else pytest.mark.slow) for name in TRAININGS]

every_training = pytest.mark.parametrize("training", TRAINING_CASES)
