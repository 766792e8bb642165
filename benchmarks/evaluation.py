"""Passes and time of PGD-100 that stops at broken examples, compared with a plain PGD-100.

    python -m benchmarks.evaluation
    python -m benchmarks.evaluation --eps 0.1 0.2 --networks AT

Ray, MLflow and Optuna are not needed. Two networks are trained on scikit-learn's handwritten digits, by adversarial training
without and with CIFS. Each is attacked by PGD-100 with every beta_atk of the CIFS paper's Table B.3 that applies to it. The
plain attack is written out below and runs every step on every example; it shares the network, the joint loss and the starts
with the product's attack. A pass is one image through the network and back; a forward pass without gradients counts as a third.
Both attacks are exact, so the two accuracies in a line must be equal; otherwise the program ends with an error.

Time is saved on broken examples: if a share p of the examples is never broken, at most a factor of 1 / p. Therefore one eps
leaves about the accuracy that PGD-100 leaves of an adversarially trained network on CIFAR-10, and another leaves more.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainables import config
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.data import Examples, evaluation_batches, load
from trainables.evaluation import BATCH, evaluate
from trainables.joint import Weights, attack_weights, joint
from trainables.models import Network, build_model
from trainables.outputs import Outputs
from trainables.rng import generator
from trainables.trial import Trial

BETA_ATK = ("0", "0.1", "1", "2", "10", "100", "inf", "inf-1", "inf-2")
MODULES: dict[str, config.Module] = {"AT": config.NoModule(), "CIFS": config.CIFS()}
MODEL = config.Model(name="resnet-10", width=8)


class AttackCost(NamedTuple):
    """Accuracy under an attack, in [0, 1], passes for each example, and seconds."""

    accuracy: float
    passes: float
    seconds: float


class Counter:
    """Counts a network's passes over single images."""

    def __init__(self, network: Network) -> None:
        self.passes = 0.0
        network.register_forward_pre_hook(self._count)

    def _count(self, _: Any, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        self.passes += len(x) * (1.0 if x.requires_grad else 1 / 3)


def trained(name: str, eps: float, epochs: int) -> tuple[Network, config.Module, Examples]:
    """Train a network; return it in evaluation mode, with the specification of its module and the test digits."""
    spec = config.TrialConfig(
        data=config.Data(dataset="digits", validation=0.1, crop=1, flip=False),
        model=MODEL,
        module=MODULES[name],
        attack=config.TrainingPGD(eps=eps, step=eps / 2, iterations=2),
        training=config.Training(epochs=epochs, batch_size=32, lr=0.4, schedule=config.OneCycle()),
        selection=config.Selection(attack=config.Natural()),
    )
    runtime = config.Runtime(device="cpu", threads=1)
    trial = Trial(spec, runtime)
    while not trial.finished:
        trial.step()
    network = build_model(spec.model, spec.module, spec.data.info, spec.seed)
    network.load_state_dict(trial.weights())
    return network.eval(), spec.module, load(spec.data, runtime, "cpu").test


def plain(network: Network, test: Examples, attack: config.PGD, weights: Weights) -> float:
    """Compute the accuracy under a plain PGD from a uniform start; an example is broken by any point that PGD visits."""
    right = []
    for i, (x, y) in enumerate(evaluation_batches(test, BATCH)):
        draws = generator(0, f"stream/{i}")
        lower, upper = (x - attack.eps).clamp(0, 1), (x + attack.eps).clamp(0, 1)
        with torch.no_grad():
            kept = _right(network(x), y)
        x_adv = (x + attack.eps * (2 * torch.rand(x.shape, generator=draws) - 1)).clamp(lower, upper)
        for _ in range(attack.iterations):
            x_adv.requires_grad_()
            outputs = network(x_adv)
            loss = joint(weights, lambda z, y=y: cross_entropy(z, y), outputs)
            (gradient,) = torch.autograd.grad(loss.sum(), x_adv)
            kept &= _right(outputs, y)
            x_adv = (x_adv.detach() + attack.step * gradient.sign()).clamp(lower, upper)
        with torch.no_grad():
            kept &= _right(network(x_adv), y)
        right.append(kept)
    return float(torch.cat(right).double().mean())


def _right(outputs: Outputs, y: Tensor) -> Tensor:
    return outputs.logits.argmax(1) == y


def ours(network: Network, test: Examples, attack: config.PGD, weights: Weights) -> float:
    """The same by an evaluation."""
    return evaluate(network, test, attack, weights, 0, "stream").accuracy


def main() -> None:
    """Train the networks, attack them in both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(MODULES), choices=MODULES)
    parser.add_argument("--train-eps", type=float, default=0.125)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.175, 0.2])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--iterations", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    wrong = 0
    for name in arguments.networks:
        network, module, test = trained(name, arguments.train_eps, arguments.epochs)
        counter = Counter(network)
        for parameter in network.parameters():
            parameter.requires_grad_(False)  # so that the plain attack does not compute gradients of the weights
        for eps in arguments.eps:
            print(f"\n{name}, {len(test)} digits, PGD-{arguments.iterations}, eps {eps:g}; accuracy in %, passes an example")
            print(f"{'beta_atk':10}{'plain':>9}{'ours':>9}{'plain':>11}{'ours':>9}{'':8}{'plain, s':>11}{'ours, s':>9}")
            every = []
            for beta in BETA_ATK if module.predicts else ("0",):
                weights = attack_weights(config.Aim.parse(beta), module)
                attack = config.PGD(eps=eps, step=eps / 10, iterations=arguments.iterations, beta_atk=beta)
                costs = []
                for way in (plain, ours):
                    counter.passes, began = 0.0, time.monotonic()
                    accuracy = way(network, test, attack, weights)
                    costs.append(AttackCost(accuracy, counter.passes / len(test), time.monotonic() - began))
                _print(beta, *costs)
                every.append(costs)
                wrong += costs[0].accuracy != costs[1].accuracy
            if len(every) > 1:
                _print("all", *(_together(costs) for costs in zip(*every, strict=True)))
    if wrong:
        raise SystemExit(f"{wrong} accuracies differ")


def _together(costs: Sequence[AttackCost]) -> AttackCost:
    """Return the lowest accuracy, and the sums of passes and seconds."""
    return AttackCost(min(c.accuracy for c in costs), sum(c.passes for c in costs), sum(c.seconds for c in costs))


def _print(label: str, plain: AttackCost, ours: AttackCost) -> None:
    print(
        f"{label:10}{100 * plain.accuracy:9.2f}{100 * ours.accuracy:9.2f}{plain.passes:11.1f}{ours.passes:9.1f}"
        f"{plain.passes / ours.passes:7.2f}x{plain.seconds:11.1f}{ours.seconds:9.1f}{plain.seconds / ours.seconds:7.2f}x"
    )


if __name__ == "__main__":
    main()
