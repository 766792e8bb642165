"""Images per second of every defense relative to adversarial training, and of adversarial training relative to a plain loop.

    python -m benchmarks.training                      # ResNet-18 on images of CIFAR-10's shape
    python -m benchmarks.training --only CAS,CIFS --rounds 9      # only relative to adversarial training, which is faster

Ray, MLflow, Optuna and data sets are not needed: the images are noise. Every line is one trial, run as in a sweep, that trains
a short epoch in each round. Rounds are interleaved, so that other load on the machine affects all lines alike, and a ratio is
the median of the rounds' ratios. The plain loop is what the papers' public codes have in common: float32, eager execution, a
DataLoader with transforms of PIL images, and an attack whose backward passes compute the parameters' gradients too.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from trainables import config
from trainables.config.terms.registry import DATA
from trainables.data import DataSource, Examples
from trainables.models import build_model
from trainables.trial import Trial

EPS, STEP = 8 / 255, 2 / 255
PGD = config.TrainingPGD(eps=EPS, step=STEP, iterations=10)
KL = config.TrainingPGD(eps=EPS, step=STEP, iterations=10, loss="kl", start="gaussian")

#: Fields of the trial of every module, objective and training attack, with the settings of its paper, by the line's name.
DEFENSES: dict[str, dict[str, Any]] = {
    "AT": {},
    "CAS": {"module": config.CAS()},
    "CIFS": {"module": config.CIFS()},
    "FSR": {"module": config.FSR()},
    "kWTA": {"module": config.KWTA()},
    "SAP": {"module": config.SAP()},
    "standard": {"objective": config.Standard(), "attack": None},
    "TRADES": {"objective": config.TRADES(), "attack": KL},
    "MART": {"objective": config.MART()},
    "ALP": {"objective": config.ALP()},
    "Feature Matching": {"objective": config.FeatureMatching()},
    "L2 matching": {"objective": config.L2Matching()},
    "AFD": {"objective": config.AFD()},
    "PCL": {"objective": config.PCL(warmup=0)},
    "FAT": {"attack": config.Friendly(eps=EPS, step=STEP, iterations=10)},
    "FGSM-RS": {"attack": config.FGSMRS(eps=EPS)},
    "InfoFeature": {"attack": config.InfoFeature(eps=EPS, step=STEP)},
    "Feature Scattering": {"attack": config.FeatureScattering(eps=EPS)},
    "Adversarial Interpolation": {"attack": config.AdversarialInterpolation(eps=EPS)},
    "APGD": {"attack": config.APGD(eps=EPS, iterations=10)},
}


def noise(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
    """Return random images and labels of CIFAR-10's shape, 2,600 for training and 100 for testing."""
    generator = torch.Generator().manual_seed(0)

    def examples(n: int) -> Examples:
        return Examples(torch.randint(256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator), torch.arange(n) % 10)

    return examples(2600), examples(100)


def line(name: str, precision: config.Precision, arguments: argparse.Namespace) -> Callable[[], float]:
    """Build a trial; each call of the result trains it for ``arguments.batches`` batches and returns images per second."""
    images = arguments.batches * arguments.batch_size
    spec = config.TrialConfig(
        data=config.Data(validation=10 / (images + 10), examples=images + 10),
        model=config.Model(name=arguments.model, width=arguments.width),
        training=config.Training(epochs=10_000, batch_size=arguments.batch_size, lr=0.001, precision=precision),
        selection=config.Selection(attack=config.Natural()),
        **{"attack": PGD, **DEFENSES[name]},
    )
    trial = Trial(spec, config.Runtime(device=arguments.device, compile=arguments.compile))

    def run() -> float:
        rate = trial.step()["images_per_second"]
        return float(rate)

    return run


class PilImages(Dataset[tuple[torch.Tensor, int]]):
    """PIL images with the transforms that all loaders of the papers' codes have."""

    def __init__(self, n: int) -> None:
        from torchvision import transforms

        examples, _ = noise("", "", False)
        self.images = [transforms.functional.to_pil_image(image) for image in examples.images[:n]]
        self.transform = transforms.Compose(
            [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), index % 10


def plain(arguments: argparse.Namespace) -> Callable[[], float]:
    """Build a plain loop of adversarial training; each call of the result trains an epoch and returns images per second."""
    model_spec = config.Model(name=arguments.model, width=arguments.width)
    model = build_model(model_spec, config.NoModule(), config.DATASETS["cifar10"], seed=0).to(arguments.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=2e-4)
    dataset = PilImages(arguments.batches * arguments.batch_size)
    loader = DataLoader(
        dataset,
        arguments.batch_size,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        pin_memory=arguments.device == "cuda",
    )

    def run() -> float:
        started = time.monotonic()
        total = 0.0
        for images, labels in loader:
            x, y = images.to(arguments.device), labels.to(arguments.device)
            model.eval()
            x_adv = (x + torch.empty_like(x).uniform_(-EPS, EPS)).clamp(0, 1)
            for _ in range(10):
                x_adv.requires_grad_()
                model.zero_grad()
                F.cross_entropy(model(x_adv).logits, y).backward()  # type: ignore[no-untyped-call]
                x_adv = x_adv.detach() + STEP * x_adv.grad.sign()
                x_adv = torch.min(torch.max(x_adv, x - EPS), x + EPS).clamp(0, 1)
            model.train()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x_adv).logits, y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(x)
        return len(dataset) / (time.monotonic() - started)

    return run


def main() -> None:
    """Measure all lines and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--model", default="resnet-18")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--batches", type=int, default=1, help="Batches in each short epoch.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"))
    parser.add_argument("--compile", choices=("off", "kernels", "graphs"), default="off")
    parser.add_argument("--only", help="Measure these relative to AT, without the plain loop: some of " + ", ".join(DEFENSES))
    arguments = parser.parse_args()
    if (arguments.batches * arguments.batch_size) + 10 > 2600:
        parser.error("--batches times --batch-size must be at most 2,590")
    only = arguments.only.split(",") if arguments.only else []
    if unknown := set(only) - set(DEFENSES):
        parser.error(f"--only: no such defense: {', '.join(sorted(unknown))}; allowed: {', '.join(DEFENSES)}")

    DATA.add(replace(DATA.entries["cifar10"], implementation=DataSource(noise)))
    names = dict.fromkeys(["AT", *(only or DEFENSES)])
    lines = {} if only else {"plain loop": plain(arguments), "AT, fp32": line("AT", "fp32", arguments)}
    lines |= {name: line(name, arguments.precision, arguments) for name in names}
    for run in lines.values():
        run()  # warm-up: compilation, memory, workers
    rates: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(arguments.rounds):
        for name, run in lines.items():
            rates[name].append(run())

    def ratio(one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))

    device = torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"{arguments.model}, width {arguments.width}, batches of {arguments.batch_size}, {arguments.precision}, {device}, ",
        end="",
    )
    print(f"torch {torch.__version__}; medians of {arguments.rounds} rounds of {arguments.batches} batches")
    print(f"{'':28}{'images/s':>10}{'time, of AT':>14}" + ("" if only else f"{'of the plain loop':>20}"))
    for name in lines:
        of_plain = "" if only else f"{ratio(name, 'plain loop'):19.2f}x"
        print(f"{name:28}{statistics.median(rates[name]):10.1f}{ratio('AT', name):14.3f}{of_plain}")


if __name__ == "__main__":
    main()
