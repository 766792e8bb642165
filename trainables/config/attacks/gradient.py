"""Attacks by gradient steps within a ball."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.config.attacks.base import Differentiated, Expected, Linf, Normed, Share
from trainables.config.spec import Count, NonNegative, Positive


class FGSM(Linf, Expected):
    """Fast gradient sign method: one step of size eps from the image itself."""

    name: Literal["fgsm"] = "fgsm"


class _Ascent(Expected):
    """Iterated steps from ``start``: a ``uniform`` point of the ball, or the image itself (``zero``).

    Of several ``restarts`` the most harmful end point of each example is kept.
    """

    step: Positive
    iterations: Count
    start: Literal["uniform", "zero"] = "uniform"
    restarts: Count = 1

    @model_validator(mode="after")
    def _distinct_restarts(self) -> Self:
        if self.restarts > 1 and self.start == "zero":
            raise ValueError(f"restarts = {self.restarts}: must be 1 with start=zero, where every restart would be the same")
        return self


class PGD(Normed, _Ascent):
    """Projected gradient ascent on the cross-entropy, along the steepest ascent of ``norm``."""

    name: Literal["pgd"] = "pgd"


class CW(Linf, _Ascent):
    """Projected gradient ascent on the Carlini & Wagner margin with a ``confidence`` (50 in CIFS and FSR)."""

    name: Literal["cw"] = "cw"
    confidence: NonNegative = 50.0


class AvgPGD(Linf, Differentiated):
    """Projected gradient ascent on the margin, each gradient the mean over ``samples`` (Tramer et al., NeurIPS 2020).

    Each sample is another draw of a stochastic network, at a uniform point within ``radius`` eps of where the ascent is: the
    second is for networks that are not stochastic but jump, like kWTA's. CAS's Table 1 gives neither number.
    """

    name: Literal["avg-pgd"] = "avg-pgd"
    step: Positive
    iterations: Count = 100
    start: Literal["uniform", "zero"] = "uniform"
    samples: Count = 10
    radius: NonNegative = 0.5


class _Momentum(Linf, Expected):
    """Signed steps along gradients that are accumulated, each divided by its mean size; ``decay``: mu, what is kept of them."""

    step: Positive
    iterations: Count
    start: Literal["uniform", "zero"] = "zero"


class MIM(_Momentum):
    """Momentum iterative method (Dong et al., CVPR 2018)."""

    name: Literal["mim"] = "mim"
    decay: NonNegative = 1.0


class DIFGSM(_Momentum):
    """Diverse inputs: gradients of images that were shrunk and padded at random (Xie et al., CVPR 2019).

    ``probability`` of an image to be shrunk; ``smallest``: its share of the size at least. With ``decay`` above 0 it is the
    paper's M-DI2-FGSM.
    """

    name: Literal["di-fgsm"] = "di-fgsm"
    decay: NonNegative = 0.0
    probability: Share = 0.5
    smallest: Annotated[float, Field(gt=0, le=1)] = 0.9


class MD(Linf, Expected):
    """Margin decomposition (Jiang et al., 2020): the margin's two terms one at a time for ``first`` steps, then the margin.

    Every restart is made twice: once with each term first.
    """

    name: Literal["md"] = "md"
    iterations: Count = 50
    first: Count = 25
    restarts: Count = 1

    @model_validator(mode="after")
    def _two_stages(self) -> Self:
        if self.first >= self.iterations:
            raise ValueError(f"first = {self.first}: must be less than iterations = {self.iterations}")
        return self


class AutoPGD(Normed, Expected):
    """Auto-PGD, without a step size to choose (Croce & Hein, ICML 2020), as AutoAttack has it.

    ``loss``: the cross-entropy, the difference of logits ratio, or the same targeted at each of the ``targets`` best wrong
    classes in turn.
    """

    name: Literal["apgd"] = "apgd"
    norm: Literal["linf", "l2"] = "linf"
    iterations: Count = 100
    loss: Literal["ce", "dlr", "targeted-dlr"] = "ce"
    targets: Count = 9
    restarts: Count = 1
