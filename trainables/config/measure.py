"""What is looked at in a trained network beside its accuracy. Each is a part of a measurement's key, as attacks are."""

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

    ``attack``: what makes the images that are looked at, from the whole test set; so does ``reference``, where there is one.
    """

    def passes(self, classes: int) -> float:
        """Passes of one image among so many ``classes``: those of its attack, and those of looking before and after."""
        attack = getattr(self, "attack", None)
        return 2 * FORWARD + (attack.passes(classes) if isinstance(attack, AttackSpec) else 0)


@MEASURE.built_in
class Activations(MeasureSpec):
    """How strongly and how often channels are active (CAS, Figures 1, 2, 4-7 and 10; CIFS, Figures 1 and 3).

    ``position``: one place of the network, by its own or a paper's name; ``P1`` is the last one. ``masked``: as the module
    that is inserted there leaves the features; before it otherwise, as both papers' figures are. ``label``: of examples of
    this class alone; of all by default. ``threshold``: a channel is active above this share of the example's largest one.
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
    """How far an attack moves the features, relative to their norm (AFD, Figure 4, left)."""

    implementation = "trainables.measures.sensitivity:sensitivity"

    name: Literal["sensitivity"] = "sensitivity"
    attack: Attack


@MEASURE.built_in
class ClassGradients(MeasureSpec):
    """How much each class's likelihood depends on the image, by the image's own class (AFD, Figure 4, right).

    ``likelihood``: what is derived. The paper calls it the class likelihood, without saying which of the three it is.
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
    """Features in the plane by t-SNE (van der Maaten & Hinton, JMLR 2008): CAS, Figure 9; AFD, Figures A8-A10.

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
    """Whether the loss is finite, has a gradient, and is the same when asked twice: if not, attacks by gradient prove nothing.

    Vanishing and random gradients of Athalye et al. (ICML 2018, section 3).
    """

    implementation = "trainables.measures.soundness:soundness"

    name: Literal["soundness"] = "soundness"

    def passes(self, classes: int) -> float:
        return 1 + FORWARD


#: Any measure.
Measure = Annotated[MeasureSpec, OneOf(MEASURE)]
