"""Settings of the optimiser, its schedule, averages of the weights, and the selection of the best checkpoint."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.config.attacks import Attack
from trainables.config.attacks.gradient import PGD
from trainables.config.terms.spec import Count, NonNegative, Positive, Spec

#: Precision in which a network's layers compute.
Precision = Literal["fp32", "bf16"]


class MultiStep(Spec):
    """The learning rate, smaller by a factor from each milestone on.

    ``milestones``: epochs, counted from 1, of which each is the first with a smaller rate. ``gamma``: the factor of each
    milestone on the rate before it; a single one stands for all.
    """

    name: Literal["multistep"] = "multistep"
    milestones: tuple[Count, ...] = (75, 90)
    gamma: tuple[Positive, ...] = (0.1,)

    @model_validator(mode="after")
    def _factors(self) -> Self:
        if len(self.gamma) not in {1, len(self.milestones)}:
            allowed = " or ".join(dict.fromkeys(["1", str(len(self.milestones))]))
            raise ValueError(f"gamma = {list(self.gamma)}: must be {allowed} numbers for {len(self.milestones)} milestones")
        return self


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
    """An exponential average of the weights after every step; see :mod:`trainables.averaging`.

    ``decay``: the share of the average that a step leaves as it is.
    """

    name: Literal["ema"] = "ema"
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999


class SWA(Spec):
    """The mean of the weights after each epoch of the later training; see :mod:`trainables.averaging`.

    ``start``: the first epoch of the mean, counted from 1.
    """

    name: Literal["swa"] = "swa"
    start: Count


class Training(Spec):
    """Stochastic gradient descent.

    ``epochs``: passes over the training examples. ``batch_size``: examples a step. ``lr``: the learning rate, where its
    schedule is highest. ``momentum``: the share of the last step that is kept. ``weight_decay``: the weight of the L2 penalty.
    ``schedule``: how the learning rate changes.
    ``averaging``: an average of the weights that is selected, saved and evaluated in the place of the last ones.
    ``patience``: training stops once so many epochs in a row were not the best.
    ``precision``: of the backbone's layers while it trains, in the attack as well: ``fp32``, or ``bf16`` by autocast with
    float32 weights. Heads, inserted modules and losses are float32 in either, and so is every evaluation.
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
    """How the best checkpoint is chosen: by the highest accuracy under attack after an epoch.

    ``split``: the images of that accuracy: ``validation`` is held out from the training set; ``test`` is what the papers did,
    and leaks. ``attack``: what they are attacked with.
    """

    split: Literal["validation", "test"] = "validation"
    attack: Attack = PGD(eps=8 / 255, step=0.8 / 255, iterations=20)
