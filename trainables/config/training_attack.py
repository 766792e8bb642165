"""Specifications of training attacks: what the inputs maximise while the weights are trained."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.config.terms.passes import FORWARD, counted_by_fields
from trainables.config.terms.registry import TRAINING_ATTACK, OneOf
from trainables.config.terms.spec import Count, Named, NonNegative, Positive

#: Batch statistics that the network uses during the attack: the running ones (``eval``), or the attacked batch's (``train``).
BatchNorm = Literal["eval", "train"]


class Bounded(Named):
    """Base of all training attacks. ``eps``: largest change of a pixel, in [0, 1].

    These names mean the same wherever a training attack has them. ``step``: the largest change of a pixel in one step.
    ``iterations``: how many steps. ``loss``: the cross-entropy, or ``kl``, the divergence from the prediction on the clean
    image. ``start``: a ``uniform`` point of the ball, the image itself (``zero``), or the image and a little normal noise
    (``gaussian``). ``bn``: the batch statistics of the network during the attack: its running ones, or the attacked batch's.

    Attributes:
        labels: whether the attack makes labels too, which only AT can train on.
        epochs_matter: whether the attack depends on the epoch of the training.
    """

    labels: ClassVar[bool] = False
    epochs_matter: ClassVar[bool] = False

    eps: Annotated[float, Field(ge=0, le=1)]

    def passes(self) -> float:
        """Return the passes of the attack on one image; the clean prediction, where it is needed, is computed once."""
        return counted_by_fields(self)


class Joint(Bounded):
    """An attack on the predictions. ``beta_atk``: ``own``, all heads as the loss weighs them, or ``0``, the final one."""

    beta_atk: Literal["own", "0"] = "own"


@TRAINING_ATTACK.built_in
class TrainingPGD(Joint):
    """Projected gradient ascent; see :mod:`trainables.attacks.methods.pgd`.

    ``loss``: ``ce``, the cross-entropy, or ``kl``, the divergence from the prediction on the clean image (TRADES).
    ``start``: a ``uniform`` point of the ball, the image itself (``zero``), or the image plus 0.001 times normal noise
    (``gaussian``, TRADES and MART), which may leave [0, 1] until the first step. ``norm``: norm of ``eps`` and ``step``; with
    ``l2`` both are lengths over the whole image.
    """

    implementation = "trainables.attacks.training.pgd:attack"
    numerics = 2

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

    def passes(self) -> float:
        return self.iterations + (FORWARD if self.loss == "kl" else 0)


@TRAINING_ATTACK.built_in
class FGSMRS(Joint):
    """FGSM from a random start (Wong et al., ICLR 2020): one step from a uniform point, clipped.

    ``alpha``: the size of the step, in shares of eps.
    """

    implementation = "trainables.attacks.training.fgsm_rs:attack"

    name: Literal["fgsm-rs"] = "fgsm-rs"
    alpha: Positive = 1.25
    bn: BatchNorm = "eval"

    def passes(self) -> float:
        return 1


@TRAINING_ATTACK.built_in
class InfoFeature(Joint):
    """PGD on the cross-entropy and the change of the class activation map.

    From a uniform start, the map having no gradient at the image itself. ``lam``: the weight of the change. ``distance``: how
    it is measured; with ``cosine`` a map of a single place, as small images have it in deep networks, cannot change.

    See :mod:`trainables.attacks.training.infofeature`.
    """

    implementation = "trainables.attacks.training.infofeature:attack"

    name: Literal["infofeature"] = "infofeature"
    step: Positive
    iterations: Count = 7
    lam: NonNegative = 0.1
    distance: Literal["l2", "l1", "cosine"] = "l2"
    bn: BatchNorm = "eval"

    def passes(self) -> float:
        return self.iterations + FORWARD


@TRAINING_ATTACK.built_in
class FeatureScattering(Joint):
    """One step of size eps that raises the optimal transport distance to the clean batch.

    See :mod:`trainables.attacks.training.feature_scattering`.

    ``regularisation``: of the transport, by its entropy. ``sinkhorn``: largest number of iterations of Sinkhorn's algorithm.
    ``tolerance``: the change of its potentials, in sum, below which it ends; the defaults are the public code's.
    """

    implementation = "trainables.attacks.training.feature_scattering:attack"
    numerics = 2

    name: Literal["feature-scattering"] = "feature-scattering"
    regularisation: Positive = 0.01
    sinkhorn: Count = 100
    tolerance: NonNegative = 0.1

    def passes(self) -> float:
        return 1 + FORWARD


@TRAINING_ATTACK.built_in
class AdversarialInterpolation(Bounded):
    """One step of size eps towards another image's features, and labels moved away from that image's label.

    ``eps_y``: how far the labels move, in [0, 1]. See :mod:`trainables.attacks.training.adversarial_interpolation`.
    """

    implementation = "trainables.attacks.training.adversarial_interpolation:attack"
    numerics = 2
    labels = True

    name: Literal["adversarial-interpolation"] = "adversarial-interpolation"
    eps_y: Annotated[float, Field(ge=0, le=1)] = 0.5

    def passes(self) -> float:
        return 1 + FORWARD


@TRAINING_ATTACK.built_in
class APGD(Joint):
    """Auto-PGD on the cross-entropy, which needs no step size; see :mod:`trainables.attacks.methods.apgd`.

    ``unbroken``: what an image becomes that is classified right under attack, or wrong without: the ``best`` that the search
    found, or the ``natural`` image, as AutoAttack returns it to AFD's public code.
    """

    implementation = "trainables.attacks.training.apgd:attack"

    name: Literal["apgd"] = "apgd"
    iterations: Count = 20
    unbroken: Literal["best", "natural"] = "best"

    def passes(self) -> float:
        return self.iterations + 1 + (2 * FORWARD if self.unbroken == "natural" else 0)


@TRAINING_ATTACK.built_in
class Friendly(Joint):
    """Early-stopped PGD: an example stops once it has been misclassified more than tau times.

    ``milestones``: epochs, counted from 1, at which tau changes; ``taus``: the values before the first milestone and from each
    milestone on. ``omega``: standard deviation of normal noise added in each step (0.001 in the public code of its adversarial
    training, 0 in that of its TRADES). See :mod:`trainables.attacks.training.friendly`.
    """

    implementation = "trainables.attacks.training.friendly:attack"
    numerics = 2
    epochs_matter = True

    name: Literal["friendly"] = "friendly"
    step: Positive
    iterations: Count
    taus: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2)
    milestones: tuple[Count, ...] = (51, 91)
    omega: NonNegative = 0.001
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
        """Return tau in an epoch, counted from 1."""
        return self.taus[sum(epoch >= milestone for milestone in self.milestones)]

    def passes(self) -> float:
        return self.iterations + (FORWARD if self.loss == "kl" else 0)


#: Type of fields that accept any registered training attack.
TrainingAttack = Annotated[Bounded, OneOf(TRAINING_ATTACK)]
