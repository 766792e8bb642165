"""Settings of the optimiser, its schedule, averages of the weights, and the selection of the best checkpoint."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.config.attacks import Attack
from trainables.config.attacks.gradient import PGD
from trainables.config.terms.spec import Count, NonNegative, Positive, Spec

#: Precision in which a network's layers compute.
Precision = Literal["fp32", "bf16"]


class MultiStep(Spec):
    """Multiply the learning rate by ``gamma`` at each milestone (an epoch, counted from 1 as in the papers)."""

    name: Literal["multistep"] = "multistep"
    milestones: tuple[Count, ...] = (75, 90)
    gamma: Positive = 0.1


class Cosine(Spec):
    """Lower the learning rate to 0 along half a cosine, epoch by epoch."""

    name: Literal["cosine"] = "cosine"


class OneCycle(Spec):
    """Raise the learning rate linearly from 0 to ``lr`` and lower it linearly to 0 again, batch by batch.

    ``peak``: share of the training after which the rate is highest. Wong et al. (ICLR 2020, "Fast is better than free") use
    this schedule for short adversarial trainings; torch's OneCycleLR follows cosines instead and cycles the momentum too.
    """

    name: Literal["one-cycle"] = "one-cycle"
    peak: Annotated[float, Field(gt=0, lt=1)] = 0.4


class EMA(Spec):
    """Exponential average of the weights with factor ``decay``, updated after every step; see :mod:`trainables.averaging`."""

    name: Literal["ema"] = "ema"
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999


class SWA(Spec):
    """Mean of the weights after each epoch from ``start`` on, counted from 1; see :mod:`trainables.averaging`."""

    name: Literal["swa"] = "swa"
    start: Count


class Training(Spec):
    """SGD: epochs, batch size, learning rate and its schedule, momentum, weight decay.

    ``averaging``: an average of the weights that is selected, saved and evaluated in place of the trained weights.
    ``patience``: number of epochs in a row without a new best one after which training stops.
    ``precision``: precision of the backbone's layers during training and its attack: ``fp32``, or ``bf16`` by autocast with
    float32 weights. Heads, inserted modules, losses and all evaluations are float32 in both.
    """

    epochs: Count = 120
    batch_size: Annotated[int, Field(ge=2)] = 128  # batch normalisation needs two
    lr: Positive = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 2e-4
    schedule: Annotated[MultiStep | Cosine | OneCycle, Field(discriminator="name")] = MultiStep()
    averaging: Annotated[EMA | SWA, Field(discriminator="name")] | None = None
    patience: Count | None = None
    precision: Precision = "fp32"


class Selection(Spec):
    """How the best checkpoint is chosen: the epoch with the highest accuracy on ``split`` under ``attack``.

    ``test`` is what the papers did and leaks test data; ``validation`` is held out from the training set.
    """

    split: Literal["validation", "test"] = "validation"
    attack: Attack = PGD(eps=8 / 255, step=0.8 / 255, iterations=20)
