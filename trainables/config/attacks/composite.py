"""Attacks that are made of others."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trainables.config.attacks.base import AttackSpec, Differentiated, Normed, Sees
from trainables.config.attacks.black_box import Square
from trainables.config.attacks.gradient import AutoPGD
from trainables.config.attacks.minimal import FAB
from trainables.config.terms.registry import ATTACK, OneOf
from trainables.config.terms.spec import Count
from trainables.config.training_attack import TrainingAttack


@ATTACK.built_in
class AutoAttack(Normed, Differentiated):
    """AutoAttack (Croce & Hein, ICML 2020): several attacks, each on what those before it left unbroken.

    ``version``: ``standard``: APGD on the cross-entropy, APGD and FAB targeted, Square; ``apgd-square``: APGD on the
    cross-entropy and Square (CIFS, Table B.1); ``rand``, for stochastic networks: APGD on the cross-entropy and on the DLR
    loss, each gradient the mean of 20 draws. Square sees the network as it is, whatever the ``view``. ``iterations``: of APGD
    and FAB. ``queries``: of Square. ``targets``: how many of the best wrong classes the targeted attacks aim at. ``classes``:
    of the data, where they are too few for a part, and null otherwise; planning sets it. With three there is the DLR loss in
    place of the targeted one, and FAB aims at all classes; with two there is the margin in place of the DLR loss.
    """

    implementation = "trainables.attacks.composites:autoattack"
    iterates = True
    ensemble = True

    name: Literal["autoattack"] = "autoattack"
    norm: Literal["linf", "l2"] = "linf"
    version: Literal["standard", "apgd-square", "rand"] = "standard"
    iterations: Count = 100
    queries: Count = 5000
    targets: Count = 9
    classes: Annotated[Literal[2, 3] | None, Field(exclude_if=lambda classes: classes is None)] = None

    @property
    def remark(self) -> str:
        if self.classes is None:
            return ""
        parts = ", ".join(f"{part.name} ({part.loss})" if isinstance(part, AutoPGD) else part.name for part in self.parts)
        return f"autoattack on data of {self.classes} classes has the parts {parts}"

    def on(self, classes: int) -> Self:
        """Give up the parts that need more classes."""
        there = self.model_copy(update={"classes": None})
        needed = max(part.least_classes for part in there.parts)
        return there if classes >= needed else self.model_copy(update={"classes": classes})

    @property
    def parts(self) -> tuple[AutoPGD | FAB | Square, ...]:
        """The attacks that it consists of, in their order."""
        aim: dict[str, Any] = {"eps": self.eps, "norm": self.norm, "beta_atk": self.beta_atk}
        seen = aim | {"view": self.view, "iterations": self.iterations}
        loss: Literal["margin", "dlr"] = "margin" if self.classes == 2 else "dlr"
        if self.version == "rand":
            return AutoPGD(**seen, eot=20), AutoPGD(**seen, loss=loss, eot=20)
        if self.version == "apgd-square":
            return AutoPGD(**seen), Square(**aim, queries=self.queries, rescale=False)
        few = self.classes is not None
        return (
            AutoPGD(**seen),
            AutoPGD(**seen, loss=loss) if few else AutoPGD(**seen, targets=self.targets, loss="targeted-dlr"),
            FAB(**seen) if few else FAB(**seen, targets=self.targets),
            Square(**aim, queries=self.queries, rescale=False),
        )

    def passes(self, classes: int) -> float:
        return sum(part.passes(classes) for part in self.on(classes).parts)


@ATTACK.built_in
class AsTraining(AttackSpec):
    """A training attack on the test images, judged where it ends alone.

    ``attack``: the training attack, which may depend on the other images of its batch.
    """

    implementation = "trainables.attacks.composites:as_training"
    sees = Sees.GRADIENTS

    name: Literal["as-training"] = "as-training"
    attack: TrainingAttack

    @model_validator(mode="after")
    def _no_epoch(self) -> Self:
        if self.attack.epochs_matter:
            raise ValueError(f"attack.name must not be {self.attack.name}, which depends on the epoch of a training")
        return self

    def passes(self, classes: int) -> float:
        return self.attack.passes()


@ATTACK.built_in
class Transfer(AttackSpec):
    """An attack that is made on another trial's network.

    ``attack``: what is made there; ``own`` as its ``beta_atk`` means the source's own. ``source``: the other trial's key.
    ``checkpoint``: which one of that trial.
    """

    implementation = "trainables.attacks.composites:transfer"
    sees = Sees.NOTHING
    direct = False

    name: Literal["transfer"] = "transfer"
    source: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    checkpoint: Literal["best", "last"] = "last"
    attack: Annotated[AttackSpec, OneOf(ATTACK, lambda spec: spec.direct)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        self.attack.check_inner("attack", "it is the transfer's, not its attack's")
        return self

    @property
    def least_classes(self) -> int:
        return self.attack.least_classes

    @property
    def remark(self) -> str:
        return self.attack.remark

    def on(self, classes: int) -> Self:
        """Bring the attack that is transferred into its form."""
        return self.model_copy(update={"attack": self.attack.on(classes)})

    def passes(self, classes: int) -> float:
        return self.attack.passes(classes)
