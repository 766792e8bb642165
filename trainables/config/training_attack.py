"""What the inputs maximise while the weights are trained."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.config.registry import TRAINING_ATTACK, Open
from trainables.config.spec import Count, NonNegative, Positive, Spec

#: Which batch statistics the network has during the attack: its running ones, or those of the attacked batch.
BatchNorm = Literal["eval", "train"]


class Bounded(Spec):
    """``eps``: the largest change of a pixel, in [0, 1]. ``labels``: whether it makes labels of its own, for AT to learn."""

    labels: ClassVar[bool] = False

    eps: Annotated[float, Field(ge=0, le=1)]


class Joint(Bounded):
    """An attack on the predictions: ``beta_atk`` is ``own``, all heads as the loss weighs them, or ``0``, the final one."""

    beta_atk: Literal["own", "0"] = "own"


class TrainingPGD(Joint):
    """Projected gradient ascent; see :mod:`trainables.attacks.methods.pgd`.

    ``loss``: the cross-entropy, or ``kl``, the divergence from the prediction on the clean image (TRADES, MART's rival).
    ``start``: a ``uniform`` point of the ball, the image itself (``zero``), or ``gaussian``: the image and 0.001 times normal
    noise (TRADES). ``norm``: of ``eps`` and ``step``; with ``l2`` both are lengths over the whole image.
    """

    name: Literal["pgd"] = "pgd"
    eps: NonNegative
    step: Positive
    iterations: Count
    loss: Literal["ce", "kl"] = "ce"
    start: Literal["uniform", "zero", "gaussian"] = "uniform"
    norm: Literal["linf", "l2"] = "linf"
    bn: BatchNorm = "eval"

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(f"eps = {self.eps}: must be at most 1 with norm=linf, where pixels are in [0, 1]")
        if self.loss == "kl" and self.start == "zero":
            raise ValueError("start must not be zero with loss=kl, which has no gradient at the image itself")
        return self


class FGSMRS(Joint):
    """FGSM from a random start (Wong et al., ICLR 2020): one step of ``alpha`` eps from a uniform point, clipped."""

    name: Literal["fgsm-rs"] = "fgsm-rs"
    alpha: Positive = 1.25
    bn: BatchNorm = "eval"


class InfoFeature(Joint):
    """PGD on the cross-entropy and ``lam`` times the change of the class activation map, in ``distance``.

    From a uniform start, the map having no gradient at the image itself. See :mod:`trainables.attacks.training.infofeature`. With
    ``cosine`` a map of a single place, as small images have it in deep networks, cannot change.
    """

    name: Literal["infofeature"] = "infofeature"
    step: Positive
    iterations: Count = 7
    lam: NonNegative = 0.1
    distance: Literal["l2", "l1", "cosine"] = "l2"
    bn: BatchNorm = "eval"


class FeatureScattering(Joint):
    """One step of size eps away from the clean batch in optimal transport; see :mod:`trainables.attacks.training.feature_scattering`.

    ``regularisation`` and ``sinkhorn`` iterations of Sinkhorn's algorithm.
    """

    name: Literal["feature-scattering"] = "feature-scattering"
    regularisation: Positive = 0.01
    sinkhorn: Count = 100


class AdversarialInterpolation(Bounded):
    """One step of size eps towards another image's features; see :mod:`trainables.attacks.training.adversarial_interpolation`.

    ``eps_y``: how far the labels move away from the other image's.
    """

    labels: ClassVar[bool] = True

    name: Literal["adversarial-interpolation"] = "adversarial-interpolation"
    eps_y: Annotated[float, Field(ge=0, le=1)] = 0.5


class APGD(Joint):
    """Auto-PGD on the cross-entropy, without a step size to choose; see :mod:`trainables.attacks.methods.apgd`."""

    name: Literal["apgd"] = "apgd"
    iterations: Count = 20


class Friendly(Joint):
    """Early-stopped PGD: an example stops once it has been misclassified more than tau times.

    ``taus``: one for each part of the training; ``milestones``: the epochs, counted from 1, that begin the later parts.
    See :mod:`trainables.attacks.training.friendly`.
    """

    name: Literal["friendly"] = "friendly"
    step: Positive
    iterations: Count
    taus: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2)
    milestones: tuple[Count, ...] = (51, 91)
    loss: Literal["ce", "kl"] = "ce"
    start: Literal["uniform", "gaussian"] = "uniform"

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        if len(self.taus) != len(self.milestones) + 1:
            raise ValueError(f"taus = {list(self.taus)}: must be one more than the {len(self.milestones)} milestones")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones = {list(self.milestones)}: must rise")
        return self

    def tau(self, epoch: int) -> int:
        """The tau of an epoch, counted from 1."""
        return self.taus[sum(epoch >= milestone for milestone in self.milestones)]


TrainingAttack = Annotated[
    TrainingPGD | FGSMRS | InfoFeature | FeatureScattering | AdversarialInterpolation | APGD | Friendly,
    Open(TRAINING_ATTACK),
]
