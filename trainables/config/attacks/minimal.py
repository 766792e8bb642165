"""Attacks that search for the smallest change."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.config.attacks.base import Differentiated, Norm, Normed, Sees
from trainables.config.terms.passes import FORWARD
from trainables.config.terms.registry import ATTACK
from trainables.config.terms.spec import Count, NonNegative, Positive


@ATTACK.built_in
class FAB(Normed, Differentiated):
    """Fast adaptive boundary attack (Croce & Hein, ICML 2020): the smallest change it finds.

    ``targets``: 0 for the nearest of all classes; a number for so many of the best wrong classes, each in turn.
    """

    implementation = "trainables.attacks.methods.fab:attack"
    iterates = True

    name: Literal["fab"] = "fab"
    iterations: Count = 100
    targets: Annotated[int, Field(ge=0)] = 0
    restarts: Count = 1

    def passes(self, classes: int) -> float:
        # One boundary for each target, or all of them.
        return self.iterations * self.restarts * (min(self.targets, classes - 1) or classes)


@ATTACK.built_in
class DDN(Normed, Differentiated):
    """Decoupled direction and norm (Rony et al., CVPR 2019): the smallest change it finds.

    ``initial``: the first radius. ``gamma``: the share by which the radius grows or shrinks a step.
    """

    implementation = "trainables.attacks.methods.minimal:ddn"
    iterates = True

    name: Literal["ddn"] = "ddn"
    norm: Literal["l2"] = "l2"
    iterations: Count = 100
    initial: Positive = 1.0
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def passes(self, classes: int) -> float:
        return self.iterations


@ATTACK.built_in
class DeepFool(Normed, Differentiated):
    """DeepFool (Moosavi-Dezfooli et al., CVPR 2016): to the nearest linearised boundary, and a little beyond.

    ``overshoot``: how far beyond, as a share of the way.
    """

    implementation = "trainables.attacks.methods.minimal:deepfool"
    iterates = True

    name: Literal["deepfool"] = "deepfool"
    norm: Literal["linf", "l2"] = "linf"
    iterations: Count = 50
    overshoot: NonNegative = 0.02

    def passes(self, classes: int) -> float:
        return self.iterations * classes


@ATTACK.built_in
class CWL2(Normed, Differentiated):
    """Carlini & Wagner's L2 attack (S&P 2017): the smallest change it finds.

    ``step``: the learning rate of Adam. ``searches``: rounds of the search for the margin's weight. ``initial``: where that
    weight begins. ``confidence``: the margin that is asked for.
    """

    implementation = "trainables.attacks.methods.minimal:cw_l2"
    iterates = True

    name: Literal["cw-l2"] = "cw-l2"
    norm: Literal["l2"] = "l2"
    iterations: Count = 100
    step: Positive = 0.05
    searches: Count = 9
    initial: Positive = 0.001
    confidence: NonNegative = 0.0

    def passes(self, classes: int) -> float:
        return self.iterations * self.searches


@ATTACK.built_in
class BrendelBethge(Normed):
    """Brendel & Bethge's attack along the decision boundary (NeurIPS 2019): the smallest change it finds.

    ``lr``: the radius of a step, as a share of the number of pixels.
    """

    implementation = "trainables.attacks.methods.minimal:brendel_bethge"
    sees = Sees.GRADIENTS
    iterates = True

    name: Literal["brendel-bethge"] = "brendel-bethge"
    norm: Norm = "l2"
    iterations: Count = 1000
    lr: Positive = 0.001

    def passes(self, classes: int) -> float:
        return self.iterations


@ATTACK.built_in
class Boundary(Normed):
    """Boundary attack (Brendel et al., ICLR 2018): a random walk that sees decisions only, to the smallest change it finds."""

    implementation = "trainables.attacks.methods.minimal:boundary"
    sees = Sees.DECISIONS
    iterates = True

    name: Literal["boundary"] = "boundary"
    norm: Literal["l2"] = "l2"
    iterations: Count = 5000

    def passes(self, classes: int) -> float:
        return FORWARD * self.iterations
