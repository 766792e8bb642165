"""What the weights minimise."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainables.config.registry import OBJECTIVE, Open
from trainables.config.spec import Count, NonNegative, Positive, Spec

#: Probability taken from the true class and shared out evenly among the others, as Feature Scattering does (its public code).
LabelSmoothing = Annotated[float, Field(ge=0, le=0.5)]


class Trained(Spec):
    """What every objective is.

    ``attacked``: whether it trains on adversarial examples; None where it may do without.
    """

    attacked: ClassVar[bool | None] = True


class Standard(Trained):
    """Cross-entropy on natural examples."""

    attacked: ClassVar[bool | None] = False

    name: Literal["standard"] = "standard"
    label_smoothing: LabelSmoothing = 0.0


class AT(Trained):
    """Adversarial training (Madry et al., ICLR 2018): cross-entropy on adversarial examples."""

    name: Literal["at"] = "at"
    label_smoothing: LabelSmoothing = 0.0


class TRADES(Trained):
    """TRADES (Zhang et al., ICML 2019); ``lam``: the weight lambda of the divergence (the public code's beta)."""

    name: Literal["trades"] = "trades"
    lam: NonNegative = 6.0


class MART(Trained):
    """MART (Wang et al., ICLR 2020); ``lam``: the weight lambda of the misclassification-aware divergence."""

    name: Literal["mart"] = "mart"
    lam: NonNegative = 5.0


class ALP(Trained):
    """Adversarial Logit Pairing (Kannan et al., 2018); ``weight``: of the pairing (InfoFeature's paper takes 0.1)."""

    name: Literal["alp"] = "alp"
    weight: NonNegative = 0.1


class FeatureMatching(Trained):
    """Adversarial Feature Matching (Li et al., IEEE Access 2020); ``weight``: of both pairings, logits and Grad-CAM."""

    name: Literal["feature-matching"] = "feature-matching"
    weight: NonNegative = 10.0


class L2Matching(Trained):
    """Matching of representations (AFD, section 3.4 and Fig. A3); ``weight``: of the distance; the paper has no figure."""

    name: Literal["l2-matching"] = "l2-matching"
    weight: NonNegative = 1.0


class PCL(Trained):
    """Prototype Conformity Loss (Mustafa et al., ICCV 2019); see :mod:`trainables.objectives.pcl`.

    ``weight``: of the conformity loss, added after ``warmup`` epochs of cross-entropy alone (the papers here give neither; the
    authors' code has weight 1). ``lr``: of the prototypes, at the start; it follows the training's schedule.
    """

    attacked: ClassVar[bool | None] = None

    name: Literal["pcl"] = "pcl"
    weight: NonNegative = 1.0
    warmup: Annotated[int, Field(ge=0)] = 50
    lr: Positive = 0.5


class AFD(Trained):
    """Adversarial Feature Desensitization (Bashivan et al.); see :mod:`trainables.objectives.afd`.

    ``discriminator``: of Table A6; FC1 and FC3 count its linear layers, PD is the projection of the label. ``hidden``: units of
    its hidden layers (the paper: 512, and 64 for MNIST). ``loss``: softplus as in the paper, or the public code's critic.
    ``lr_encoder``, ``lr_discriminator``: the learning rates of the encoder's adversarial step and of the discriminator at the
    start. The defaults are the public code's for CIFAR, Table A1 being illegible; for MNIST it has 0.5 and 0.5. The
    classification step has the training's own ``lr``.
    """

    name: Literal["afd"] = "afd"
    discriminator: Literal["FC1-PD", "FC3", "FC3-PD"] = "FC3-PD"
    hidden: Count = 512
    loss: Literal["softplus", "critic"] = "softplus"
    lr_encoder: Positive = 0.5
    lr_discriminator: Positive = 0.1


Objective = Annotated[Standard | AT | TRADES | MART | ALP | FeatureMatching | L2Matching | PCL | AFD, Open(OBJECTIVE)]
