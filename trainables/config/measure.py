"""Specifications of representation measures, which are computed on a checkpoint and belong to a measurement's key."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.config.attacks import Attack
from trainables.config.attacks.base import AttackSpec, Natural
from trainables.config.terms.passes import FORWARD
from trainables.config.terms.registry import MEASURE, OneOf
from trainables.config.terms.spec import Count, Named, Positive

_Share = Annotated[float, Field(ge=0, lt=1)]


class MeasureSpec(Named):
    """What every measure is.

    ``attack``: what makes the measured images from the whole test set; so does ``reference``, where there is one.
    """

    def passes(self, classes: int) -> float:
        """Return the passes for one image: those of the attack, and a forward pass before and after it."""
        attack = getattr(self, "attack", None)
        return 2 * FORWARD + (attack.passes(classes) if isinstance(attack, AttackSpec) else 0)


@MEASURE.built_in
class Activations(MeasureSpec):
    """How strongly and how often channels are active (CAS, Figures 1, 2, 4-7 and 10; CIFS, Figures 1 and 3).

    ``position``: a position of the network, by its name or a paper's; ``P1`` is the last. ``masked``: whether features are
    taken after the module inserted there; by default before it, as in both papers' figures. ``label``: a class, to use its
    examples alone. ``threshold``: a channel is active above this share of the example's largest activation.
    """

    implementation = "trainables.measures.activations:activations"

    name: Literal["activations"] = "activations"
    attack: Attack = Natural()
    position: str = "P1"
    masked: bool = False
    label: Annotated[int, Field(ge=0)] | None = None
    threshold: _Share = 0.01


@MEASURE.built_in
class Sensitivity(MeasureSpec):
    """Distance by which an attack moves the features, relative to their norm (AFD, Figure 4, left)."""

    implementation = "trainables.measures.sensitivity:sensitivity"

    name: Literal["sensitivity"] = "sensitivity"
    attack: Attack


@MEASURE.built_in
class ClassGradients(MeasureSpec):
    """Norm of the gradient of each class's likelihood with respect to the image, by true class (AFD, Figure 4, right).

    ``likelihood``: what is differentiated. The paper says "class likelihood", which may mean any of the three.
    """

    implementation = "trainables.measures.class_gradients:class_gradients"

    name: Literal["class-gradients"] = "class-gradients"
    likelihood: Literal["probability", "log-probability", "logit"] = "probability"

    def passes(self, classes: int) -> float:
        return classes


@MEASURE.built_in
class Dimensions(MeasureSpec):
    """How many features are in use, and how many principal components explain their variance (AFD, Table A5).

    ``variance``: the share of it that these explain.
    """

    implementation = "trainables.measures.dimensions:dimensions"

    name: Literal["dimensions"] = "dimensions"
    attack: Attack = Natural()
    variance: Annotated[float, Field(gt=0, lt=1)] = 0.99


@MEASURE.built_in
class Perturbations(MeasureSpec):
    """How unlike an attack is to another one: PGD in InfoFeature's Table 2 and in AFD's Table A7.

    ``reference``: the other attack. Both draw the same numbers, so that two attacks with random starts begin at the same
    points.
    """

    implementation = "trainables.measures.perturbations:perturbations"

    name: Literal["perturbations"] = "perturbations"
    attack: Attack
    reference: Attack

    def passes(self, classes: int) -> float:
        return self.attack.passes(classes) + self.reference.passes(classes)


@MEASURE.built_in
class TSNE(MeasureSpec):
    """Features embedded in the plane by t-SNE (van der Maaten & Hinton, JMLR 2008): CAS, Figure 9; AFD, Figures A8-A10.

    ``attack``: its images are embedded together with the natural ones; ``natural`` embeds these alone. ``examples``: at most
    so many test images, with the classes in the proportions of the test set, the same ones for every trial.
    ``perplexity``: how many neighbours a point has, roughly.
    """

    implementation = "trainables.measures.tsne:tsne"

    name: Literal["t-sne"] = "t-sne"
    attack: Attack = Natural()
    examples: Count = 1000
    perplexity: Positive = 30.0


@MEASURE.built_in
class Soundness(MeasureSpec):
    """Whether the loss is finite, has a gradient and is deterministic; otherwise gradient-based attacks prove nothing.

    These are the vanishing and stochastic gradients of Athalye et al. (ICML 2018, section 3).
    """

    implementation = "trainables.measures.soundness:soundness"

    name: Literal["soundness"] = "soundness"

    def passes(self, classes: int) -> float:
        return 1 + FORWARD


#: Type of fields that accept any registered measure.
Measure = Annotated[MeasureSpec, OneOf(MEASURE)]
