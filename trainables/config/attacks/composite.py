"""Attacks that are made of others."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trainables.config.attacks.base import Differentiated, Normed, Tested
from trainables.config.attacks.black_box import NAttack, Noise, Square
from trainables.config.attacks.gradient import CW, DIFGSM, FGSM, MD, MIM, PGD, AutoPGD, AvgPGD
from trainables.config.attacks.minimal import CWL2, DDN, FAB, Boundary, BrendelBethge, DeepFool
from trainables.config.registry import ATTACK, Open
from trainables.config.spec import Count
from trainables.config.training_attack import Friendly, TrainingAttack


class AutoAttack(Normed, Differentiated):
    """AutoAttack (Croce & Hein, ICML 2020): several attacks, each on what those before it left unbroken.

    ``version``: ``standard``: APGD on the cross-entropy, APGD and FAB targeted, Square; ``apgd-square``: APGD on the
    cross-entropy and Square (CIFS, Table B.1); ``rand``: APGD on two losses, each gradient the mean of 20 draws. Square sees
    the network as it is, whatever the ``view``.
    """

    name: Literal["autoattack"] = "autoattack"
    norm: Literal["linf", "l2"] = "linf"
    version: Literal["standard", "apgd-square", "rand"] = "standard"
    iterations: Count = 100
    queries: Count = 5000
    targets: Count = 9

    def parts(self) -> tuple[AutoPGD | FAB | Square, ...]:
        """The attacks that it consists of, in their order."""
        aim: dict[str, Any] = {"eps": self.eps, "norm": self.norm, "beta_atk": self.beta_atk}
        seen = aim | {"view": self.view, "iterations": self.iterations}
        if self.version == "rand":
            return AutoPGD(**seen, eot=20), AutoPGD(**seen, loss="dlr", eot=20)
        if self.version == "apgd-square":
            return AutoPGD(**seen), Square(**aim, queries=self.queries, rescale=False)
        return (
            AutoPGD(**seen),
            AutoPGD(**seen, targets=self.targets, loss="targeted-dlr"),
            FAB(**seen, targets=self.targets),
            Square(**aim, queries=self.queries, rescale=False),
        )


class AsTraining(Tested):
    """A training attack on the test images. It may look at the other images of its batch; where it ends alone is judged."""

    name: Literal["as-training"] = "as-training"
    attack: TrainingAttack

    @model_validator(mode="after")
    def _no_epoch(self) -> Self:
        if isinstance(self.attack, Friendly):
            raise ValueError("attack.name must not be friendly, which depends on the epoch of a training")
        return self


#: Whatever can be made on the attacked network itself.
Direct = (
    Noise
    | FGSM
    | PGD
    | CW
    | AvgPGD
    | MIM
    | DIFGSM
    | MD
    | AutoPGD
    | FAB
    | DDN
    | DeepFool
    | CWL2
    | BrendelBethge
    | Boundary
    | Square
    | NAttack
    | AutoAttack
    | AsTraining
)


class Transfer(Tested):
    """``attack``, made on another network: on the ``best`` or ``last`` checkpoint of the trial with the key ``source``.

    ``own`` as the attack's ``beta_atk`` means the source's own.
    """

    name: Literal["transfer"] = "transfer"
    source: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    checkpoint: Literal["best", "last"] = "last"
    attack: Annotated[Direct, Open(ATTACK)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        self.attack.check_inner("attack", "it is the transfer's, beside its attack")
        return self
