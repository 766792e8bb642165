"""A trial: one training, epoch by epoch, and the evaluations and measurements of its checkpoints."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables import config
from trainables.attacks import SourceNetwork, SourceNetworks, training_attack
from trainables.averaging import Average
from trainables.config.module import AVERAGED
from trainables.data import Examples, batches_per_epoch, load_checked, sample, training_batches
from trainables.evaluation import Evaluated, evaluate
from trainables.joint import attack_weights
from trainables.measures import Array, Subject, run_measure
from trainables.models import Network, build_model
from trainables.models.layout import channels_last, check_layout
from trainables.objectives import build_learner
from trainables.rng import Generators

__all__ = ["Diverged", "Evaluated", "Trial", "build_source", "is_over"]


def is_over(training: config.Training, epoch: int, best_epoch: int) -> bool:
    """Check whether training is over: after the last epoch, or after ``patience`` epochs in a row without a new best one."""
    stopped = training.patience is not None and epoch - best_epoch >= training.patience
    return stopped or epoch >= training.epochs


class Diverged(ArithmeticError):
    """The loss or a weight is not finite; the message names the epoch."""


class Trial:
    """One training, built from its configuration alone.

    Attributes:
        epoch: number of finished epochs.
        best_epoch: the epoch after which accuracy on the selection split was highest (the earliest of equals), counted from 1;
            0 before the first.
        device_name: name of the GPU, or ``cpu``.
        data_checksum: of the data set as it was read; see :func:`trainables.data.examples.checksum`.

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
            # batches. Graphs of earlier trials in this process count too, and above the limit torch silently stops compiling.
            torch._dynamo.reset()
            torch._dynamo.config.recompile_limit = 64
        self.device = _device(runtime.device)
        self.device_name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        self._splits, self.data_checksum = load_checked(spec.data, runtime, self.device)
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
        """Whether training is over; see :func:`is_over`."""
        return is_over(self.spec.training, self.epoch, self.best_epoch)

    @property
    def _selected(self) -> Network:
        """The network that is evaluated after an epoch and saved: the trained one, or the average of its weights."""
        return self._average.network if self._average else self._network

    def step(self) -> dict[str, Any]:
        """Train one epoch, then evaluate on the selection split.

        Returns:
            the epoch's columns in the record: accuracies in [0, 1], seconds of training alone, and figures of the objective.

        Raises:
            Diverged: the loss or a weight is not finite; the trial cannot continue.
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
        """Train one epoch; return the mean loss, the accuracy on the examples trained on, and their number."""
        spec, network, generator = self.spec, self._network, self._generators["attack"]
        total = torch.zeros((), device=self.device, dtype=torch.float64)
        right = torch.zeros((), device=self.device, dtype=torch.int64)
        images = 0
        network.train()
        for x, y in training_batches(self._splits.train, spec.data, spec.training.batch_size, self._generators):
            with network.computing(spec.training.precision):
                x_adv, targets = training_attack(spec.attack, spec.module, network, x, y, generator, self.epoch + 1)
                value, outputs = self._learner.learn(x, x_adv, y, targets)
            if self._average:
                self._average.after_step(network)
            # Summed on the device: reading a value here would make the host wait for the GPU at every step.
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
        """Return the natural accuracy on the selection split, and the accuracy under the selection's attack."""
        spec = self.spec
        examples = self._splits.test if spec.selection.split == "test" else self._splits.validation

        def accuracy(attack: config.Attack) -> float:
            weights = self._attack_weights(attack)
            stream = f"selection/{self.epoch}"
            return evaluate(self._selected, examples, attack, weights, spec.seed, stream, most=AVERAGED).accuracy

        return accuracy(config.Natural()), accuracy(spec.selection.attack)

    def _attack_weights(self, attack: config.Attack) -> tuple[float, ...]:
        return attack_weights(attack.aim, self.spec.module)

    def evaluate(
        self,
        attack: config.Attack,
        weights: Mapping[str, Tensor],
        sources: SourceNetworks | None = None,
        complete: bool = False,
    ) -> Evaluated:
        """Attack a network with these weights, on the test set or on the examples that the attack names.

        ``sources``: networks that a transfer attack may use; see :func:`build_source`. ``complete``: whether every example is
        attacked to the end and every head is ranked; accuracy, distances and ``broken`` do not depend on it. A stochastic
        network is judged by the mean of as many draws as its prediction is.
        """
        network = self._build()
        network.load_state_dict(dict(weights))
        stream = config.evaluation_stream(attack)
        aim = self._attack_weights(attack)
        examples = self._tested(attack)
        return evaluate(network, examples, attack, aim, self.spec.seed, stream, sources or {}, complete)

    def measure(self, spec: config.Measure, weights: Mapping[str, Tensor]) -> dict[str, Array]:
        """Measure a network with these weights on the test set.

        Returns:
            named arrays; their names and shapes are documented with the measure's function in :mod:`trainables.measures`.

        Raises:
            ValueError: ``spec`` names a position, module or class that the network or the data set does not have.
        """
        canonical = config.canonical_measure(spec, self.spec)
        if canonical is None:
            raise ValueError(f"{spec}: an attack's beta_atk aims at a module that the network does not have")
        # Not compiled: a measure is one pass over the test set, and no other pass would reuse its graphs.
        network = self._build(compiled=False)
        network.load_state_dict(dict(weights))
        return run_measure(canonical, Subject(network, self._splits.test, self._attack_weights, self.spec.seed))

    def _tested(self, attack: config.Attack) -> Examples:
        """Return the examples that ``attack`` is evaluated on."""
        images = self._splits.test if attack.split is None else self._splits.validation
        if not len(images):
            raise ValueError(f"attack.split = {attack.split}: data.validation = 0 holds nothing out")
        return images if attack.examples is None else images[sample(images.labels, attack.examples)]

    def test_labels(self, attack: config.Attack) -> NDArray[np.int64]:
        """Return the labels (N,) of the examples that ``attack`` is evaluated on, in the order of its ranks."""
        labels: NDArray[np.int64] = self._tested(attack).labels.cpu().numpy()
        return labels

    def weights(self) -> dict[str, Tensor]:
        """Return the weights and batch statistics that the epoch's accuracies belong to: the network's, or their average."""
        return dict(self._selected.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on; tensors, containers, numbers and strings only."""
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
        """Resume from a state that :meth:`state_dict` returned; bitwise exact on one kind of CPU with equally many threads."""
        self.epoch = state["epoch"]
        self.best_epoch = state["best_epoch"]
        self._best_accuracy = state["best_accuracy"]
        self._network.load_state_dict(state["network"])
        self._learner.load_state_dict(state["learner"])
        if self._average:
            self._average.load_state_dict(state["average"])
        self._generators.load_state_dict(state["generators"])

    def conclude(self, epoch: int, best_epoch: int) -> None:
        """Take a training as over that ended with these epochs, without the state from which it could go on.

        Its checkpoints can be evaluated and measured, for they depend on their weights alone.
        """
        self.epoch, self.best_epoch = epoch, best_epoch


def build_source(spec: config.TrialConfig, weights: Mapping[str, Tensor], device: torch.device) -> SourceNetwork:
    """Build another trial's network with these weights on ``device``, in evaluation mode, as the source of transfer attacks."""
    network = build_model(spec.model, spec.module, spec.data.info, spec.seed)
    network.load_state_dict(dict(weights))
    return SourceNetwork(network.to(device).eval(), spec.module)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
