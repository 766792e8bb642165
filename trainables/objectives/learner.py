"""Who changes the weights: the optimisers of a training and their schedules."""

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
    """One optimiser of the whole network and one loss; an objective with more of either derives from it.

    Args:
        trial: the whole configuration.
        network: on its device; its weights are changed in place.
        steps_per_epoch: batches that :meth:`learn` gets in an epoch.

    Attributes:
        epoch: epochs finished.
        own: weights of the objective's own, which the network is trained with but that are no part of it.
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
        """Add an optimiser; its learning rate follows the training's schedule."""
        self.optimizers[name] = SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.schedules[name] = make_schedule(self.trial.training, self.optimizers[name], self.steps_per_epoch)

    @property
    def lr(self) -> float:
        """The learning rate of the network's classification."""
        return float(self.optimizers["network"].param_groups[0]["lr"])

    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        """The loss of each example, the inserted module's own included; arguments as :meth:`learn` has them."""
        raise NotImplementedError

    def learn(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None = None) -> Loss:
        """Change the weights once, and never wait for the device.

        Args:
            x: natural images (B, channels, size, size) in [0, 1].
            x_adv: adversarial ones; x itself where the trial has no attack.
            y: labels (B,).
            targets: distributions over the classes, (B, classes), that AT learns in their place.

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
        """Go on to the next batch's learning rates."""
        for schedule in self.schedules.values():
            schedule.step()

    def end_epoch(self) -> dict[str, float]:
        """Go on to the next epoch.

        Returns:
            figures of the objective's own about this one.
        """
        self.epoch += 1
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning goes on from but for the network's own weights."""
        return {
            "epoch": self.epoch,
            "own": self.own.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "schedules": {name: schedule.state_dict() for name, schedule in self.schedules.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken; between epochs."""
        self.epoch = state["epoch"]
        self.own.load_state_dict(state["own"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, schedule in self.schedules.items():
            schedule.load_state_dict(state["schedules"][name])
