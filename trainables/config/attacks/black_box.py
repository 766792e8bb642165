"""Attacks that see scores, or nothing at all."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.config.attacks.base import Linf, Normed, Scored, Sees
from trainables.config.terms.passes import FORWARD
from trainables.config.terms.registry import ATTACK
from trainables.config.terms.spec import Count, Positive


@ATTACK.built_in
class Noise(Normed):
    """Uniform points of the ball, of which one that is misclassified is kept where there is one.

    ``restarts``: how many points are drawn.
    """

    implementation = "trainables.attacks.methods.noise:attack"
    sees = Sees.NOTHING

    name: Literal["noise"] = "noise"
    restarts: Count = 1

    def passes(self, classes: int) -> float:
        return FORWARD * self.restarts


@ATTACK.built_in
class Square(Normed, Scored):
    """Square attack (Andriushchenko et al., ECCV 2020): random squares that are kept if the margin falls.

    ``p``: the share of an image that the first squares change. It falls with the queries, along the paper's schedule for
    10,000 of them. ``rescale``: whether that schedule is compressed to ``queries``, which AutoAttack does not do.
    """

    implementation = "trainables.attacks.methods.square:attack"
    sees = Sees.SCORES
    iterates = True

    name: Literal["square"] = "square"
    norm: Literal["linf", "l2"] = "linf"
    queries: Count = 5000
    p: Annotated[float, Field(gt=0, le=1)] = 0.8
    rescale: bool = True
    restarts: Count = 1

    def passes(self, classes: int) -> float:
        return FORWARD * self.queries * self.restarts


@ATTACK.built_in
class NAttack(Linf, Scored):
    """NAttack (Li et al., ICML 2019): a distribution of adversarial images, learned from scores.

    ``samples``: queries a step; ``sigma``: the distribution's width; ``step``: the learning rate eta.
    """

    implementation = "trainables.attacks.methods.nattack:attack"
    sees = Sees.SCORES
    iterates = True

    name: Literal["nattack"] = "nattack"
    queries: Count = 20_000
    samples: Annotated[int, Field(ge=2)] = 300
    sigma: Positive = 0.1
    step: Positive = 0.02

    @model_validator(mode="after")
    def _one_step(self) -> Self:
        if self.samples > self.queries:
            raise ValueError(f"samples = {self.samples}: must be at most queries = {self.queries}")
        return self

    def passes(self, classes: int) -> float:
        return FORWARD * self.queries
