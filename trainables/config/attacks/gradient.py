"""Attacks by gradient steps within a ball."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.config.attacks.base import Differentiated, Expected, Linf, Normed, Share
from trainables.config.terms.registry import ATTACK
from trainables.config.terms.spec import Count, NonNegative, Positive


@ATTACK.built_in
class FGSM(Linf, Expected):
    """Fast gradient sign method: one step of size eps from the image itself."""

    implementation = "trainables.attacks.methods.fgsm:attack"

    name: Literal["fgsm"] = "fgsm"

    @property
    def gradient_steps(self) -> int:
        return 1

    def passes(self, classes: int) -> float:
        return self.eot


class _Restarted(Differentiated):
    """Iterated steps from ``start``: a ``uniform`` point of the ball, or the image itself (``zero``).

    Of several ``restarts`` the most harmful end point of each example is kept.
    """

    iterates = True

    step: Positive
    iterations: Count
    start: Literal["uniform", "zero"] = "uniform"
    restarts: Count = 1

    @model_validator(mode="after")
    def _distinct_restarts(self) -> Self:
        if self.restarts > 1 and self.start == "zero":
            raise ValueError(f"restarts = {self.restarts}: must be 1 with start=zero, where every restart would be the same")
        return self

    @property
    def gradient_steps(self) -> int:
        return self.iterations * self.restarts


class _Ascent(_Restarted, Expected):
    """Steps whose gradients are taken at the point itself."""

    stepwise = True

    def passes(self, classes: int) -> float:
        return self.iterations * self.restarts * self.eot


@ATTACK.built_in
class PGD(Normed, _Ascent):
    """Projected gradient ascent on the cross-entropy, along the steepest ascent of ``norm``."""

    implementation = "trainables.attacks.methods.pgd:attack"

    name: Literal["pgd"] = "pgd"


@ATTACK.built_in
class CW(Linf, _Ascent):
    """Projected gradient ascent on the Carlini & Wagner margin.

    ``confidence``: how far beyond the boundary the margin still rises (50 in CIFS and FSR).
    """

    implementation = "trainables.attacks.methods.pgd:cw"

    name: Literal["cw"] = "cw"
    confidence: NonNegative = 50.0


@ATTACK.built_in
class AvgPGD(Linf, _Restarted):
    """Projected gradient ascent on the margin, each gradient a mean over samples (Tramer et al., NeurIPS 2020).

    ``samples``: how many, each another draw of a stochastic network at another point. ``radius``: how far such a uniform point
    is from where the ascent is, at most, in shares of eps; it is for networks that are not stochastic but jump, like kWTA's:
    with ``view=soft``, a smaller radius and several restarts it is the strongest attack on these that we know. CAS's Table 1
    gives neither number.
    """

    implementation = "trainables.attacks.methods.pgd:average"
    numerics = 2

    name: Literal["avg-pgd"] = "avg-pgd"
    iterations: Count = 100
    samples: Count = 10
    radius: NonNegative = 0.5

    def passes(self, classes: int) -> float:
        return self.iterations * self.restarts * self.samples


class _Momentum(Linf, Expected):
    """Signed steps along gradients that are accumulated, each divided by its mean size; ``decay``: mu, what is kept of them."""

    iterates = True

    step: Positive
    iterations: Count
    start: Literal["uniform", "zero"] = "zero"

    @property
    def gradient_steps(self) -> int:
        return self.iterations

    def passes(self, classes: int) -> float:
        return self.iterations * self.eot


@ATTACK.built_in
class MIM(_Momentum):
    """Momentum iterative method (Dong et al., CVPR 2018)."""

    implementation = "trainables.attacks.methods.momentum:attack"
    stepwise = True

    name: Literal["mim"] = "mim"
    decay: NonNegative = 1.0


@ATTACK.built_in
class DIFGSM(_Momentum):
    """Diverse inputs: gradients of images that were shrunk and padded at random (Xie et al., CVPR 2019).

    ``probability``: of an image to be shrunk; ``smallest``: its share of the size at least. ``decay``: mu, what is kept of
    earlier gradients; above 0 it is the paper's M-DI2-FGSM.
    """

    implementation = "trainables.attacks.methods.momentum:diverse_inputs"

    name: Literal["di-fgsm"] = "di-fgsm"
    decay: NonNegative = 0.0
    probability: Share = 0.5
    smallest: Annotated[float, Field(gt=0, le=1)] = 0.9


@ATTACK.built_in
class MD(Linf, Expected):
    """Margin decomposition (Jiang et al., 2020): the margin's two terms one at a time, then the margin.

    ``first``: steps with one term alone; the authors' class has 25 of 50, their evaluations 20. ``restarts``: each is made
    twice, once with each term first.
    """

    implementation = "trainables.attacks.methods.margin_decomposition:attack"
    numerics = 2
    iterates = True

    name: Literal["md"] = "md"
    iterations: Count = 50
    first: Count = 25
    restarts: Count = 1

    @model_validator(mode="after")
    def _two_stages(self) -> Self:
        if self.first >= self.iterations:
            raise ValueError(f"first = {self.first}: must be less than iterations = {self.iterations}")
        return self

    @property
    def gradient_steps(self) -> int:
        return 2 * self.iterations * self.restarts

    def passes(self, classes: int) -> float:
        return 2 * (self.iterations + 1) * self.restarts * self.eot


@ATTACK.built_in
class AutoPGD(Normed, Expected):
    """Auto-PGD, without a step size to choose (Croce & Hein, ICML 2020), as AutoAttack has it.

    ``loss``: the cross-entropy (``ce``); the difference of logits ratio (``dlr``), which needs three classes; the same targeted
    at each of the best wrong classes in turn, which needs four; or the ``margin``, which is DLR without its denominator.
    ``targets``: at how many of the best wrong classes the targeted loss aims, at most all.
    """

    implementation = "trainables.attacks.methods.apgd:attack"
    iterates = True

    name: Literal["apgd"] = "apgd"
    norm: Literal["linf", "l2"] = "linf"
    iterations: Count = 100
    loss: Literal["ce", "dlr", "targeted-dlr", "margin"] = "ce"
    targets: Count = 9
    restarts: Count = 1

    @property
    def least_classes(self) -> int:
        return {"dlr": 3, "targeted-dlr": 4}.get(self.loss, 2)

    def passes(self, classes: int) -> float:
        targets = min(self.targets, classes - 1) if self.loss == "targeted-dlr" else 1
        return (self.iterations + 1) * targets * self.restarts * self.eot
