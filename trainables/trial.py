"""A trial: one training, epoch by epoch, and attacks on what it learned. The only door to this package."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables import config
from trainables.attacks import Source, Sources, training_attack
from trainables.averaging import Average
from trainables.data import Examples, batches_per_epoch, load, sample, training_batches
from trainables.evaluation import Evaluated, evaluate
from trainables.joint import attack_weights
from trainables.measures import Array, Subject, run_measure
from trainables.models import Network, build_model
from trainables.models.layout import channels_last, check_layout
from trainables.objectives import build_learner
from trainables.rng import Generators

__all__ = ["Diverged", "Evaluated", "Trial", "build_source"]


class Diverged(ArithmeticError):
    """The loss or the weights are no longer finite; the message says when."""


class Trial:
    """One training, from its configuration alone.

    Attributes:
        epoch: epochs finished.
        best_epoch: the one after which the selection's accuracy was highest (the earliest of equals); 0 before the first.
        device_name: what it runs on.

    Raises:
        DataNotFound: the data set's files are not there.
        UnsafeLayout: PyTorch cannot train the network in this layout.
    """

    def __init__(self, spec: config.TrialConfig, runtime: config.Runtime) -> None:
        self.spec, self.runtime = spec, runtime
        if runtime.threads is not None:
            torch.set_num_threads(runtime.threads)
        if runtime.compile != "off":
            # A trial needs a dozen graphs: training, attack and evaluation, with and without gradients, for full and for last
            # batches. Those of former trials in this process count too, and above the limit torch silently goes on without.
            torch._dynamo.reset()
            torch._dynamo.config.recompile_limit = 64
        self.device = _device(runtime.device)
        self.device_name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        self._splits = load(spec.data, runtime, self.device)
        self._network = self._build()
        check_layout(self._network, spec, runtime, self.device.type)
        steps = batches_per_epoch(len(self._splits.train), spec.training.batch_size)
        self._learner = build_learner(spec, self._network, steps)
        self._average = Average(spec.training.averaging, self._build(), spec.seed) if spec.training.averaging else None
        self._generators = Generators(spec.seed, self.device)
        self._network.draw_from(self._generators["module"])
        self.epoch = 0
        self.best_epoch = 0
        self._best_accuracy = -1.0

    def _build(self, compiled: bool = True) -> Network:
        network = build_model(self.spec.model, self.spec.module, self.spec.data.info, self.spec.seed)
        # The weights' layout is enough: a convolution's output follows it.
        layout = torch.channels_last if channels_last(self.spec, self.runtime) else torch.contiguous_format
        network.to(self.device).to(memory_format=layout)
        if self.runtime.compile != "off" and compiled:
            network.compile_kernels(graphs=self.runtime.compile == "graphs")
        return network

    @property
    def finished(self) -> bool:
        """Whether training is over: after its last epoch, or once ``patience`` epochs in a row were not the best."""
        patience = self.spec.training.patience
        stopped = patience is not None and self.epoch - self.best_epoch >= patience
        return stopped or self.epoch >= self.spec.training.epochs

    @property
    def _selected(self) -> Network:
        """The network that is looked at after an epoch, and kept."""
        return self._average.network if self._average else self._network

    def step(self) -> dict[str, Any]:
        """Train one epoch and look at the selection split.

        Returns:
            the record's columns of this epoch: accuracies in [0, 1], seconds of training alone; the objective's own figures.

        Raises:
            Diverged: the loss or a weight is not finite; the trial cannot go on.
        """
        started = time.monotonic()
        lr = self._learner.lr
        mean_loss, accuracy, images = self._train()
        seconds = time.monotonic() - started
        self._check_finite(mean_loss)
        self.epoch += 1
        figures = self._learner.end_epoch()
        if self._average:
            self._average.after_epoch(self._network, self.epoch, self._splits.train)

        natural, robust = self._select()
        if robust > self._best_accuracy:
            self._best_accuracy, self.best_epoch = robust, self.epoch
        return {
            "epoch": self.epoch,
            "lr": lr,
            "train_loss": mean_loss,
            "train_accuracy": accuracy,
            "natural_accuracy": natural,
            "robust_accuracy": robust,
            "seconds": seconds,
            "images_per_second": images / seconds,
            **figures,
        }

    def _train(self) -> tuple[float, float, int]:
        """One epoch over the training examples: mean loss, accuracy on the examples trained on, and their number."""
        spec, network, chance = self.spec, self._network, self._generators["attack"]
        total = torch.zeros((), device=self.device, dtype=torch.float64)
        right = torch.zeros((), device=self.device, dtype=torch.int64)
        images = 0
        network.train()
        for x, y in training_batches(self._splits.train, spec.data, spec.training.batch_size, self._generators):
            with network.computing(spec.training.precision):
                x_adv, targets = training_attack(spec.attack, spec.module, network, x, y, chance, self.epoch + 1)
                value, outputs = self._learner.learn(x, x_adv, y, targets)
            if self._average:
                self._average.after_step(network)
            # Summed on the device: reading a number here would make the host wait for the GPU at every step.
            total += value.detach().sum()
            right += (outputs.logits.detach().argmax(1) == y).sum()
            images += len(y)
        return float(total) / images, float(right) / images, images

    def _check_finite(self, mean_loss: float) -> None:
        if not np.isfinite(mean_loss):
            raise Diverged(f"diverged at epoch {self.epoch + 1}: the loss is {mean_loss}")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self._network.state_dict().values()):
            raise Diverged(f"diverged at epoch {self.epoch + 1}: a weight is not finite")

    def _select(self) -> tuple[float, float]:
        """Accuracy on the selection split, natural and under the selection's attack."""
        spec = self.spec
        examples = self._splits.test if spec.selection.split == "test" else self._splits.validation

        def accuracy(attack: config.Attack) -> float:
            weights = self._attack_weights(attack)
            stream = f"selection/{self.epoch}"
            return evaluate(self._selected, examples, attack, weights, spec.seed, stream).accuracy

        return accuracy(config.Natural()), accuracy(spec.selection.attack)

    def _attack_weights(self, attack: config.Attack) -> tuple[float, ...]:
        return attack_weights(attack.aim, self.spec.module)

    def evaluate(
        self,
        attack: config.Attack,
        weights: Mapping[str, Tensor],
        sources: Sources | None = None,
        complete: bool = False,
    ) -> Evaluated:
        """Attack the test set, or what else the attack names, on a network with these weights.

        ``sources``: the networks that an attack may come from; see :func:`build_source`. ``complete``: whether every example is
        attacked to the end and every head looked at, which accuracy and what else an evaluation finds do not depend on.
        """
        network = self._build()
        network.load_state_dict(dict(weights))
        stream = config.evaluation_stream(attack)
        aim = self._attack_weights(attack)
        examples = self._tested(attack)
        return evaluate(network, examples, attack, aim, self.spec.seed, stream, sources or {}, complete)

    def measure(self, spec: config.Measure, weights: Mapping[str, Tensor]) -> dict[str, Array]:
        """Look at a network with these weights, on the test set.

        Returns:
            named arrays; the measure's function in :mod:`trainables.measures` says which, and their shapes.

        Raises:
            ValueError: the network or the data set has not what ``spec`` names.
        """
        canonical = config.canonical_measure(spec, self.spec)
        if canonical is None:
            raise ValueError(f"{spec}: an attack's beta_atk aims at a module that is not there")
        # Not compiled: a measure is one pass over the test set, and its graphs are those of no other pass.
        network = self._build(compiled=False)
        network.load_state_dict(dict(weights))
        return run_measure(canonical, Subject(network, self._splits.test, self._attack_weights, self.spec.seed))

    def _tested(self, attack: config.Attack) -> Examples:
        """The examples that ``attack`` is on."""
        images = self._splits.test if attack.split is None else self._splits.validation
        if not len(images):
            raise ValueError(f"attack.split = {attack.split}: data.validation = 0 holds nothing out")
        return images if attack.examples is None else images[sample(images.labels, attack.examples)]

    def test_labels(self, attack: config.Attack) -> NDArray[np.int64]:
        """Labels of the examples that ``attack`` is on, (N,), in the order of its ranks."""
        labels: NDArray[np.int64] = self._tested(attack).labels.cpu().numpy()
        return labels

    def weights(self) -> dict[str, Tensor]:
        """The weights and batch statistics that this epoch's accuracies are of: the network's own, or their average."""
        return dict(self._selected.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on; tensors, containers, numbers and strings only."""
        return {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_accuracy": self._best_accuracy,
            "network": self._network.state_dict(),
            "learner": self._learner.state_dict(),
            "average": self._average.state_dict() if self._average else None,
            "generators": self._generators.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as if training had never stopped: bit for bit so on one kind of CPU with as many threads."""
        self.epoch = state["epoch"]
        self.best_epoch = state["best_epoch"]
        self._best_accuracy = state["best_accuracy"]
        self._network.load_state_dict(state["network"])
        self._learner.load_state_dict(state["learner"])
        if self._average:
            self._average.load_state_dict(state["average"])
        self._generators.load_state_dict(state["generators"])


def build_source(spec: config.TrialConfig, weights: Mapping[str, Tensor], device: torch.device) -> Source:
    """Another trial's network with these weights on ``device``, in evaluation mode, for attacks to be transferred from."""
    network = build_model(spec.model, spec.module, spec.data.info, spec.seed)
    network.load_state_dict(dict(weights))
    return Source(network.to(device).eval(), spec.module)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
