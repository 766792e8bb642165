"""Specifications of objectives: the losses that the weights minimise."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainables.config.terms.passes import FORWARD, WEIGHTS
from trainables.config.terms.registry import OBJECTIVE, OneOf
from trainables.config.terms.spec import Count, Named, NonNegative, Positive

#: Probability moved from the true class to the others in equal parts, as in Feature Scattering's public code.
LabelSmoothing = Annotated[float, Field(ge=0, le=0.5)]


class Trained(Named):
    """Base of all objectives.

    ``label_smoothing``: the probability that the true class gives to the others together, wherever an objective has it.

    Attributes:
        attacked: whether it needs adversarial examples; None where they are optional.
        paired: whether it trains on natural and adversarial images together, so that each image is trained on twice.
        takes_targets: whether it accepts distributions over the classes in place of labels.
    """

    attacked: ClassVar[bool | None] = True
    paired: ClassVar[bool] = True
    takes_targets: ClassVar[bool] = False

    def passes(self, attacked: bool) -> float:
        """Return the passes for training on one image, without its attack; ``attacked``: whether the trial has an attack."""
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
    """TRADES (Zhang et al., ICML 2019).

    ``lam``: the weight lambda of the divergence (the public code's beta). ``clean_passes``: how often the natural images of a
    batch change the running batch statistics: 2 in the public code of TRADES, 1 in that of CAS.
    """

    implementation = "trainables.objectives.trades:trades"
    numerics = 2

    name: Literal["trades"] = "trades"
    lam: NonNegative = 6.0
    clean_passes: Literal[1, 2] = 2

    def passes(self, attacked: bool) -> float:
        """Return the passes for the natural and the adversarial image, and for the natural image again."""
        return 2 * WEIGHTS + (self.clean_passes - 1) * FORWARD


@OBJECTIVE.built_in
class MART(Trained):
    """MART (Wang et al., ICLR 2020); ``lam``: the weight lambda of the misclassification-aware divergence."""

    implementation = "trainables.objectives.mart:mart"

    name: Literal["mart"] = "mart"
    lam: NonNegative = 5.0


@OBJECTIVE.built_in
class ALP(Trained):
    """Adversarial Logit Pairing (Kannan et al., 2018); ``weight``: weight of the pairing (0.1 in InfoFeature's paper)."""

    implementation = "trainables.objectives.alp:alp"

    name: Literal["alp"] = "alp"
    weight: NonNegative = 0.1


@OBJECTIVE.built_in
class FeatureMatching(Trained):
    """Adversarial Feature Matching (Li et al., IEEE Access 2020); ``weight``: weight of both pairings, logits and Grad-CAM."""

    implementation = "trainables.objectives.feature_matching:feature_matching"

    name: Literal["feature-matching"] = "feature-matching"
    weight: NonNegative = 10.0


@OBJECTIVE.built_in
class L2Matching(Trained):
    """Matching of representations (AFD, section 3.4, Fig. A3); ``weight``: weight of the distance, which the paper omits."""

    implementation = "trainables.objectives.l2_matching:l2_matching"

    name: Literal["l2-matching"] = "l2-matching"
    weight: NonNegative = 1.0


@OBJECTIVE.built_in
class PCL(Trained):
    """Prototype Conformity Loss (Mustafa et al., ICCV 2019); see :mod:`trainables.objectives.pcl`.

    The defaults are those of the authors' training on natural images. ``weight``: of the distance to the prototype of the own
    class. ``push``: weight of the distance from the prototypes of the other classes (1e-5 in the authors' adversarial
    training). ``warmup``: epochs of cross-entropy alone, before these are added (the authors' 164 of another training, and the
    papers here give none). ``lr``, ``lr_push``: learning rates of the prototypes of either kind at the start; they follow the
    training's schedule, and no weight changes the prototypes' steps.
    """

    implementation = "trainables.objectives.pcl:PCLLearner"
    numerics = 2
    attacked = None

    name: Literal["pcl"] = "pcl"
    weight: NonNegative = 1.0
    push: NonNegative = 1e-4
    warmup: Annotated[int, Field(ge=0)] = 50
    lr: Positive = 0.5
    lr_push: Positive = 1e-4


@OBJECTIVE.built_in
class AFD(Trained):
    """Adversarial Feature Desensitization (Bashivan et al.); see :mod:`trainables.objectives.afd`.

    ``depth``: linear layers of the discriminator, the last of which gives the score: 1 and 3 are Table A6's FC1 and FC3.
    ``projection``: whether it is given the label, by a projection (Table A6: PD). ``hidden``: units of its hidden layers (the
    paper: 512, and 64 for MNIST). ``loss``: ``softplus`` as in the paper, or ``critic``, the public code's default.
    ``forwards``: how often a batch passes through encoder and discriminator, on which the running statistics of their batch
    and spectral norms depend: ``as-code``, or ``needed``, once for each step that needs it. ``lr_encoder``,
    ``lr_discriminator``: initial learning rates gamma of the encoder's adversarial step, and beta of the discriminator. The
    defaults are the public code's for CIFAR, since Table A1 is illegible; for MNIST it has 0.5 and 0.5. The classification
    step uses the training's ``lr``, alpha.
    """

    implementation = "trainables.objectives.afd:AFDLearner"
    numerics = 2

    name: Literal["afd"] = "afd"
    depth: Annotated[int, Field(ge=1, le=5)] = 3
    projection: bool = True
    hidden: Count = 512
    loss: Literal["softplus", "critic"] = "softplus"
    forwards: Literal["as-code", "needed"] = "as-code"
    lr_encoder: Positive = 0.5
    lr_discriminator: Positive = 0.1

    def passes(self, attacked: bool) -> float:
        """Return the passes for the natural image, again for the discriminator, for the adversarial one, and further ones."""
        further = {"needed": 0, "as-code": 2 if self.loss == "softplus" else 4}[self.forwards]
        return 2 * WEIGHTS + (1 + further) * FORWARD


#: Type of fields that accept any registered objective.
Objective = Annotated[Trained, OneOf(OBJECTIVE)]
