"""Learners: the optimisers of a training and their schedules."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from trainables import config
from trainables.joint import training_weights
from trainables.models import Network
from trainables.objectives.loss import Loss
from trainables.schedule import make_schedule


class Learner:
    """Base of all learners: one loss, and one optimiser of the whole network; objectives that need more derive from it.

    Args:
        trial: the trial's configuration.
        network: on its device; its weights are changed in place.
        steps_per_epoch: number of batches passed to :meth:`learn` in an epoch.

    Attributes:
        epoch: number of finished epochs.
        own: weights that the objective trains besides the network's, such as a discriminator.
    """

    own: nn.Module

    def __init__(self, trial: config.TrialConfig, network: Network, steps_per_epoch: int) -> None:
        self.trial, self.network, self.steps_per_epoch = trial, network, steps_per_epoch
        self.weights = training_weights(trial.module)
        self.epoch = 0
        self.own = nn.Module()
        self.optimizers: dict[str, SGD] = {}
        self.schedules: dict[str, LambdaLR] = {}
        training = trial.training
        self.optimize("network", network.parameters(), training.lr, training.momentum, training.weight_decay)

    def optimize(self, name: str, parameters: Iterable[Tensor], lr: float, momentum: float, weight_decay: float = 0.0) -> None:
        """Add an SGD optimiser of ``parameters``, whose learning rate starts at ``lr`` and follows the training's schedule."""
        self.optimizers[name] = SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.schedules[name] = make_schedule(self.trial.training, self.optimizers[name], self.steps_per_epoch)

    @property
    def lr(self) -> float:
        """The current learning rate of the network's optimiser."""
        return float(self.optimizers["network"].param_groups[0]["lr"])

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        """Compute the loss of each example, the inserted module's regulariser included; arguments as for :meth:`learn`."""
        raise NotImplementedError

    def learn(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None = None) -> Loss:
        """Train on one batch: one step of every optimiser, without waiting for the device.

        Args:
            x: natural images (B, channels, size, size) in [0, 1].
            x_adv: adversarial images; x itself where the trial has no attack.
            y: labels (B,).
            targets: distributions over the classes, (B, classes), for AT to use in place of the labels.

        Returns:
            the loss before the step.
        """
        result = self.loss(x, x_adv, y, targets)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        result.value.mean().backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.end_step()
        return result

    def end_step(self) -> None:
        """Advance all learning rates to the next batch."""
        for schedule in self.schedules.values():
            schedule.step()

    def end_epoch(self) -> dict[str, float]:
        """Advance to the next epoch.

        Returns:
            further figures of the finished epoch, by name.
        """
        self.epoch += 1
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state that training resumes from, without the network's weights."""
        return {
            "epoch": self.epoch,
            "own": self.own.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "schedules": {name: schedule.state_dict() for name, schedule in self.schedules.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a state that :meth:`state_dict` returned between two epochs."""
        self.epoch = state["epoch"]
        self.own.load_state_dict(state["own"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, schedule in self.schedules.items():
            schedule.load_state_dict(state["schedules"][name])
