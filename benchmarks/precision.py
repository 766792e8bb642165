"""The effect of precision, memory layout and compilation on robust accuracy, compared with the effect of the seed.

    python -m benchmarks.precision
    python -m benchmarks.precision --seeds 5 --settings fp32,bf16 --device cuda

A small ResNet is trained adversarially on scikit-learn's digits; every evaluation is in float32. A setting is harmless if its
mean differs from that of ``fp32`` by less than seeds differ from each other.
"""

import argparse
import statistics
from dataclasses import replace

import torch

from trainables import config
from trainables.trial import Trial

EPS = 0.125
ATTACK = config.PGD(eps=EPS, step=EPS / 10, iterations=20)

#: Precision and runtime settings of each line of the table.
SETTINGS: dict[str, tuple[config.Precision, config.Runtime]] = {
    "fp32": ("fp32", config.Runtime(layout="contiguous")),
    "fp32, channels-last": ("fp32", config.Runtime(layout="channels-last")),
    "bf16": ("bf16", config.Runtime(layout="contiguous")),
    "bf16, channels-last": ("bf16", config.Runtime(layout="channels-last")),
    "fp32, compiled": ("fp32", config.Runtime(layout="contiguous", compile="kernels")),
}


def accuracies(precision: config.Precision, runtime: config.Runtime, seed: int, epochs: int) -> tuple[float, float]:
    """Train a network; return its natural accuracy and its accuracy under PGD-20 on the test set, in [0, 1]."""
    spec = config.TrialConfig(
        data=config.Data(dataset="digits", validation=0.1, crop=1, flip=False),
        model=config.Model(name="resnet-10", width=8),
        attack=config.TrainingPGD(eps=EPS, step=EPS / 2, iterations=5),
        training=config.Training(epochs=epochs, batch_size=64, lr=0.1, schedule=config.OneCycle(), precision=precision),
        selection=config.Selection(attack=config.Natural()),
        seed=seed,
    )
    trial = Trial(spec, runtime)
    while not trial.finished:
        trial.step()
    weights = trial.weights()

    def accuracy(attack: config.Attack) -> float:
        return trial.evaluate(attack, weights).accuracy

    return accuracy(config.Natural()), accuracy(ATTACK)


def main() -> None:
    """Train and evaluate every setting with every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS, metavar="SETTING")
    arguments = parser.parse_args()

    print(f"{'':22}{'natural':>20}{'PGD-20':>20}{'PGD-20 minus that of fp32, by seed':>42}", flush=True)
    reference: list[float] = []
    for name in dict.fromkeys(["fp32", *arguments.settings]):
        precision, runtime = SETTINGS[name]
        placed = replace(runtime, device=arguments.device)
        found = [accuracies(precision, placed, seed, arguments.epochs) for seed in range(arguments.seeds)]
        natural, robust = zip(*found, strict=True)
        reference = reference or list(robust)
        changes = " ".join(f"{100 * (a - b):+5.1f}" for a, b in zip(robust, reference, strict=True))
        print(f"{name:22}{_spread(natural):>20}{_spread(robust):>20}{changes:>42}", flush=True)


def _spread(values: tuple[float, ...]) -> str:
    return f"{100 * statistics.mean(values):.1f} ± {100 * statistics.stdev(values):.1f} %"


if __name__ == "__main__":
    main()
