"""What is looked at in a trained network beside its accuracy. Each is a part of a measurement's key, as attacks are."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.config.attacks import Attack
from trainables.config.attacks.base import Natural
from trainables.config.spec import Count, Positive, Spec

_Share = Annotated[float, Field(ge=0, lt=1)]


class Activations(Spec):
    """How strongly and how often channels are active (CAS, Figures 1, 2, 4-7 and 10; CIFS, Figures 1 and 3).

    ``position``: one place of the network, by its own or a paper's name; ``P1`` is the last one. ``masked``: as the module
    that is inserted there leaves the features; before it otherwise, as both papers' figures are. ``label``: of examples of
    this class alone; of all by default. ``threshold``: a channel is active above this share of the example's largest one.
    """

    name: Literal["activations"] = "activations"
    attack: Attack = Natural()
    position: str = "P1"
    masked: bool = False
    label: Annotated[int, Field(ge=0)] | None = None
    threshold: _Share = 0.01


class Sensitivity(Spec):
    """How far an attack moves the features, relative to their norm (AFD, Figure 4, left)."""

    name: Literal["sensitivity"] = "sensitivity"
    attack: Attack


class ClassGradients(Spec):
    """How much each class's likelihood depends on the image, by the image's own class (AFD, Figure 4, right).

    ``likelihood``: what is derived. The paper calls it the class likelihood, without saying which of the three it is.
    """

    name: Literal["class-gradients"] = "class-gradients"
    likelihood: Literal["probability", "log-probability", "logit"] = "probability"


class Dimensions(Spec):
    """How many features are in use, and how many principal components explain ``variance`` of theirs (AFD, Table A5)."""

    name: Literal["dimensions"] = "dimensions"
    attack: Attack = Natural()
    variance: Annotated[float, Field(gt=0, lt=1)] = 0.99


class Perturbations(Spec):
    """How unlike an ``attack`` is to a ``reference`` attack: PGD in InfoFeature's Table 2 and in AFD's Table A7.

    Both draw the same numbers, so that two attacks with random starts begin at the same points.
    """

    name: Literal["perturbations"] = "perturbations"
    attack: Attack
    reference: Attack


class TSNE(Spec):
    """Features in the plane by t-SNE (van der Maaten & Hinton, JMLR 2008): CAS, Figure 9; AFD, Figures A8-A10.

    ``attack``: its images are embedded together with the natural ones; ``natural`` embeds these alone. ``examples``: at most
    so many test images, with the classes in the proportions of the test set, the same ones for every trial.
    """

    name: Literal["t-sne"] = "t-sne"
    attack: Attack = Natural()
    examples: Count = 1000
    perplexity: Positive = 30.0


class Soundness(Spec):
    """Whether the loss is finite, has a gradient, and is the same when asked twice: if not, attacks by gradient prove nothing.

    Vanishing and random gradients of Athalye et al. (ICML 2018, section 3).
    """

    name: Literal["soundness"] = "soundness"


Measure = Annotated[
    Activations | Sensitivity | ClassGradients | Dimensions | Perturbations | TSNE | Soundness, Field(discriminator="name")
]
