"""What the inputs maximise in evaluations. Each is a part of an evaluation's key, so a new field here is a new key.

For every attack an example is *broken* if the network misclassifies it as it is, or an image that the attack visits within its
budget: for attacks by gradient steps the start, every iterate and the end of each restart. Papers count the last iterate, which
is no stronger. Because nothing that comes later mends what is broken, an attack may stop there, accuracy is what it would be if
it went on, and PGD-20 is the beginning of PGD-100. What is visited is seen for nothing where gradients are the network's own.
Where they are not (through another ``view``, or at other images than the iterate) the end of each restart is judged alone, but
by MD and APGD, which look at every point in any case. So it is with a network whose prediction is a matter of chance: there the
end point's single draw decides, or an attack of more steps would have more chances.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trainables.config.spec import Count, NonNegative, Positive, Spec

#: How a change is measured: its largest pixel, its Euclidean length, the sum of its pixels.
Norm = Literal["linf", "l2", "l1"]

#: How a network's inserted modules are looked at while the attack searches; see :mod:`trainables.attacks.surrogate`.
View = Literal["plain", "soft", "train"]

Share = Annotated[float, Field(ge=0, le=1)]


class Natural(Spec):
    """No attack: natural accuracy."""

    name: Literal["natural"] = "natural"


class _Linf(Spec):
    """``eps``: the largest change of a pixel, in [0, 1]."""

    eps: Share
    norm: Literal["linf"] = "linf"


class _Normed(Spec):
    """``eps``: the largest change in ``norm``: of a pixel, or over the whole image."""

    eps: NonNegative
    norm: Norm = "linf"

    @model_validator(mode="after")
    def _pixels(self) -> Self:
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(f"eps = {self.eps}: must be at most 1 with norm=linf, where pixels are in [0, 1]")
        return self


class _Scored(Spec):
    """An attack on predictions, where inserted modules predict too.

    ``beta_atk``: the weight of the modules in the joint loss that is maximised (CIFS eq. 3): a number, ``inf`` (the modules
    only), ``inf-2`` (the second module only), or ``own``, the weight that the network was trained with. Whatever the weights,
    an example is broken where the final prediction is wrong.
    """

    beta_atk: Annotated[str, Field(pattern=r"^(own|\d+(\.\d+)?(e-?\d+)?|inf(-[1-9]\d*)?)$")] = "own"


class _Differentiated(_Scored):
    """An attack with gradients, taken through ``view``; what is broken is decided by the network as it is."""

    view: View = "plain"


class _Expected(_Differentiated):
    """``eot``: how many draws of a stochastic network a gradient is the mean of (Athalye et al., ICML 2018)."""

    eot: Count = 1


class Noise(_Normed):
    """Uniform points of the ball: of ``restarts`` draws one that is misclassified, where there is one."""

    name: Literal["noise"] = "noise"
    restarts: Count = 1


class FGSM(_Linf, _Expected):
    """Fast gradient sign method: one step of size eps from the image itself."""

    name: Literal["fgsm"] = "fgsm"


class _Ascent(_Expected):
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


class PGD(_Normed, _Ascent):
    """Projected gradient ascent on the cross-entropy, along the steepest ascent of ``norm``."""

    name: Literal["pgd"] = "pgd"


class CW(_Linf, _Ascent):
    """Projected gradient ascent on the Carlini & Wagner margin with a ``confidence`` (50 in CIFS and FSR)."""

    name: Literal["cw"] = "cw"
    confidence: NonNegative = 50.0


class AvgPGD(_Linf, _Differentiated):
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


class _Momentum(_Linf, _Expected):
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


class MD(_Linf, _Expected):
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


class AutoPGD(_Normed, _Expected):
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


class FAB(_Normed, _Differentiated):
    """Fast adaptive boundary attack (Croce & Hein, ICML 2020): the smallest change it finds.

    ``targets``: 0 looks at the nearest of all classes, a number at each of so many best wrong classes in turn.
    """

    name: Literal["fab"] = "fab"
    iterations: Count = 100
    targets: Annotated[int, Field(ge=0)] = 0
    restarts: Count = 1


class DDN(_Normed, _Differentiated):
    """Decoupled direction and norm (Rony et al., CVPR 2019): the smallest change it finds. ``initial``: the first radius."""

    name: Literal["ddn"] = "ddn"
    norm: Literal["l2"] = "l2"
    iterations: Count = 100
    initial: Positive = 1.0
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.05


class DeepFool(_Normed, _Differentiated):
    """DeepFool (Moosavi-Dezfooli et al., CVPR 2016): to the nearest linearised boundary and a share ``overshoot`` beyond."""

    name: Literal["deepfool"] = "deepfool"
    norm: Literal["linf", "l2"] = "linf"
    iterations: Count = 50
    overshoot: NonNegative = 0.02


class CWL2(_Normed, _Differentiated):
    """Carlini & Wagner's L2 attack (S&P 2017): the smallest change it finds.

    ``step`` of Adam; ``searches``: rounds of the search for the margin's weight, which begins at ``initial``.
    """

    name: Literal["cw-l2"] = "cw-l2"
    norm: Literal["l2"] = "l2"
    iterations: Count = 100
    step: Positive = 0.05
    searches: Count = 9
    initial: Positive = 0.001
    confidence: NonNegative = 0.0


class BrendelBethge(_Normed):
    """Brendel & Bethge's attack along the decision boundary (NeurIPS 2019): the smallest change it finds.

    ``lr``: the radius of a step, as a share of the number of pixels.
    """

    name: Literal["brendel-bethge"] = "brendel-bethge"
    norm: Norm = "l2"
    iterations: Count = 1000
    lr: Positive = 0.001


class Boundary(_Normed):
    """Boundary attack (Brendel et al., ICLR 2018): a random walk that sees decisions only, to the smallest change it finds."""

    name: Literal["boundary"] = "boundary"
    norm: Literal["l2"] = "l2"
    iterations: Count = 5000


class Square(_Normed, _Scored):
    """Square attack (Andriushchenko et al., ECCV 2020): random squares that are kept if the margin falls.

    ``p``: the share of an image that the first squares change. It falls with the queries, along the paper's schedule for
    10,000 of them, which is compressed to ``queries`` unless ``rescale`` is false, as in AutoAttack.
    """

    name: Literal["square"] = "square"
    norm: Literal["linf", "l2"] = "linf"
    queries: Count = 5000
    p: Annotated[float, Field(gt=0, le=1)] = 0.8
    rescale: bool = True
    restarts: Count = 1


class NAttack(_Linf, _Scored):
    """NAttack (Li et al., ICML 2019): a distribution of adversarial images, learned from scores.

    At most ``queries`` an image, ``samples`` of them a step; ``sigma``: the distribution's width; ``step``: eta.
    """

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


class AutoAttack(_Normed, _Differentiated):
    """AutoAttack (Croce & Hein, ICML 2020): several attacks, each on what those before it left unbroken.

    ``version``: ``standard``: APGD on the cross-entropy, APGD and FAB targeted, Square; ``apgd-square``: APGD on the
    cross-entropy and Square (CIFS, Table B.1); ``rand``: APGD on two losses, each gradient the mean of 20 draws. Square sees
    the network as it is, whatever the ``view``.
    """

    name: Literal["autoattack"] = "autoattack"
    norm: Literal["linf", "l2"] = "linf"
    version: Literal["standard", "apgd-square", "rand"] = "standard"
    iterations: Count = 100
    queries: Count = 5000
    targets: Count = 9

    def parts(self) -> tuple[AutoPGD | FAB | Square, ...]:
        """The attacks that it consists of, in their order."""
        aim: dict[str, Any] = {"eps": self.eps, "norm": self.norm, "beta_atk": self.beta_atk}
        seen = aim | {"view": self.view, "iterations": self.iterations}
        if self.version == "rand":
            return AutoPGD(**seen, eot=20), AutoPGD(**seen, loss="dlr", eot=20)
        if self.version == "apgd-square":
            return AutoPGD(**seen), Square(**aim, queries=self.queries, rescale=False)
        return (
            AutoPGD(**seen),
            AutoPGD(**seen, targets=self.targets, loss="targeted-dlr"),
            FAB(**seen, targets=self.targets),
            Square(**aim, queries=self.queries, rescale=False),
        )


_Direct = Annotated[
    Noise
    | FGSM
    | PGD
    | CW
    | AvgPGD
    | MIM
    | DIFGSM
    | MD
    | AutoPGD
    | FAB
    | DDN
    | DeepFool
    | CWL2
    | BrendelBethge
    | Boundary
    | Square
    | NAttack
    | AutoAttack,
    Field(discriminator="name"),
]


class Transfer(Spec):
    """``attack``, made on another network: on the ``best`` or ``last`` checkpoint of the trial with the key ``source``.

    ``own`` as the attack's ``beta_atk`` means the source's own.
    """

    name: Literal["transfer"] = "transfer"
    source: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    checkpoint: Literal["best", "last"] = "last"
    attack: _Direct


Attack = Annotated[
    Natural
    | Noise
    | FGSM
    | PGD
    | CW
    | AvgPGD
    | MIM
    | DIFGSM
    | MD
    | AutoPGD
    | FAB
    | DDN
    | DeepFool
    | CWL2
    | BrendelBethge
    | Boundary
    | Square
    | NAttack
    | AutoAttack
    | Transfer,
    Field(discriminator="name"),
]


def gradient_steps(attack: Attack) -> int | None:
    """How many steps over all restarts an attack counts to tell when an example is broken; None if it counts none."""
    match attack:
        case FGSM():
            return 1
        case PGD() | CW():
            return attack.iterations * attack.restarts
        case AvgPGD() | MIM() | DIFGSM():
            return attack.iterations
        case MD():
            return 2 * attack.iterations * attack.restarts
        case _:
            return None
