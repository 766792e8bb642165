"""What the weights minimise."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainables.config.terms.passes import FORWARD, WEIGHTS
from trainables.config.terms.registry import OBJECTIVE, OneOf
from trainables.config.terms.spec import Count, Named, NonNegative, Positive

#: Probability taken from the true class and shared out evenly among the others, as Feature Scattering does (its public code).
LabelSmoothing = Annotated[float, Field(ge=0, le=0.5)]


class Trained(Named):
    """What every objective is.

    ``label_smoothing``: the probability that the true class gives to the others together, wherever an objective has it.

    Attributes:
        attacked: whether it trains on adversarial examples; None where it may do without.
        paired: whether it learns from natural and adversarial images, so that each image is learnt from twice.
        takes_targets: whether it can learn distributions over the classes in place of labels.
    """

    attacked: ClassVar[bool | None] = True
    paired: ClassVar[bool] = True
    takes_targets: ClassVar[bool] = False

    def passes(self, attacked: bool) -> float:
        """Passes in which the weights learn from one image, without its attack; ``attacked``: whether there is one."""
        return 2 * WEIGHTS if self.paired and attacked else WEIGHTS


@OBJECTIVE.built_in
class Standard(Trained):
    """Cross-entropy on natural examples."""

    implementation = "trainables.objectives.standard:standard"
    paired = False
    attacked = False

    name: Literal["standard"] = "standard"
    label_smoothing: LabelSmoothing = 0.0


@OBJECTIVE.built_in
class AT(Trained):
    """Adversarial training (Madry et al., ICLR 2018): cross-entropy on adversarial examples."""

    implementation = "trainables.objectives.at:at"
    paired = False
    takes_targets = True

    name: Literal["at"] = "at"
    label_smoothing: LabelSmoothing = 0.0


@OBJECTIVE.built_in
class TRADES(Trained):
    """TRADES (Zhang et al., ICML 2019); ``lam``: the weight lambda of the divergence (the public code's beta)."""

    implementation = "trainables.objectives.trades:trades"

    name: Literal["trades"] = "trades"
    lam: NonNegative = 6.0


@OBJECTIVE.built_in
class MART(Trained):
    """MART (Wang et al., ICLR 2020); ``lam``: the weight lambda of the misclassification-aware divergence."""

    implementation = "trainables.objectives.mart:mart"

    name: Literal["mart"] = "mart"
    lam: NonNegative = 5.0


@OBJECTIVE.built_in
class ALP(Trained):
    """Adversarial Logit Pairing (Kannan et al., 2018); ``weight``: of the pairing (InfoFeature's paper takes 0.1)."""

    implementation = "trainables.objectives.alp:alp"

    name: Literal["alp"] = "alp"
    weight: NonNegative = 0.1


@OBJECTIVE.built_in
class FeatureMatching(Trained):
    """Adversarial Feature Matching (Li et al., IEEE Access 2020); ``weight``: of both pairings, logits and Grad-CAM."""

    implementation = "trainables.objectives.feature_matching:feature_matching"

    name: Literal["feature-matching"] = "feature-matching"
    weight: NonNegative = 10.0


@OBJECTIVE.built_in
class L2Matching(Trained):
    """Matching of representations (AFD, section 3.4 and Fig. A3); ``weight``: of the distance; the paper has no figure."""

    implementation = "trainables.objectives.l2_matching:l2_matching"

    name: Literal["l2-matching"] = "l2-matching"
    weight: NonNegative = 1.0


@OBJECTIVE.built_in
class PCL(Trained):
    """Prototype Conformity Loss (Mustafa et al., ICCV 2019); see :mod:`trainables.objectives.pcl`.

    ``weight``: of the conformity loss (the papers here do not give it; the authors' code has 1). ``warmup``: epochs of
    cross-entropy alone, before that loss is added (not given either). ``lr``: of the prototypes, at the start; it follows the
    training's schedule.
    """

    implementation = "trainables.objectives.pcl:PCLLearner"
    attacked = None

    name: Literal["pcl"] = "pcl"
    weight: NonNegative = 1.0
    warmup: Annotated[int, Field(ge=0)] = 50
    lr: Positive = 0.5


@OBJECTIVE.built_in
class AFD(Trained):
    """Adversarial Feature Desensitization (Bashivan et al.); see :mod:`trainables.objectives.afd`.

    ``discriminator``: of Table A6; FC1 and FC3 count its linear layers, PD is the projection of the label. ``hidden``: units of
    its hidden layers (the paper: 512, and 64 for MNIST). ``loss``: softplus as in the paper, or the public code's critic.
    ``lr_encoder``, ``lr_discriminator``: the learning rates of the encoder's adversarial step and of the discriminator at the
    start. The defaults are the public code's for CIFAR, Table A1 being illegible; for MNIST it has 0.5 and 0.5. The
    classification step has the training's own ``lr``.
    """

    implementation = "trainables.objectives.afd:AFDLearner"

    name: Literal["afd"] = "afd"
    discriminator: Literal["FC1-PD", "FC3", "FC3-PD"] = "FC3-PD"
    hidden: Count = 512
    loss: Literal["softplus", "critic"] = "softplus"
    lr_encoder: Positive = 0.5
    lr_discriminator: Positive = 0.1

    def passes(self, attacked: bool) -> float:
        """The natural image, once more for the discriminator, and the adversarial one."""
        return 2 * WEIGHTS + FORWARD


#: Any objective.
Objective = Annotated[Trained, OneOf(OBJECTIVE)]
