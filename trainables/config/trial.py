"""The configuration of a trial, and the checks across its parts."""

from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from trainables.config.attacks.composite import Transfer
from trainables.config.canonical import canonical_attack, heads
from trainables.config.data import Data
from trainables.config.model import Model
from trainables.config.module import CIFS, Module, NoModule
from trainables.config.objective import AT, PCL, Objective
from trainables.config.terms.spec import Spec
from trainables.config.training import SWA, Selection, Training
from trainables.config.training_attack import TrainingAttack, TrainingPGD


class TrialConfig(Spec):
    """One training, completely: the same configuration gives the same weights (bit for bit on one kind of CPU).

    ``data``: which examples it learns from. ``model``: the network. ``module``: what is inserted in the network.
    ``objective``: what the weights minimise. ``attack``: what the inputs maximise while the weights are trained; null for a
    training on natural examples. ``training``: how the weights are trained. ``selection``: how the best checkpoint is chosen.
    ``seed``: of all random numbers.
    """

    data: Data = Data()
    model: Model = Model()
    module: Module = NoModule()
    objective: Objective = AT()
    attack: TrainingAttack | None = TrainingPGD(eps=8 / 255, step=2 / 255, iterations=10)
    training: Training = Training()
    selection: Selection = Selection()
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("module")
    @classmethod
    def _canonical_positions(cls, module: Module, info: ValidationInfo) -> Module:
        """Replace the papers' names of positions by the model's, so that equal trials compare equal."""
        if isinstance(module, NoModule) or "model" not in info.data:
            return module
        model: Model = info.data["model"]
        places = [place for position in module.positions for place in model.resolve(position)]
        if len(set(places)) < len(places) or not places:
            raise ValueError(f"positions = {list(module.positions)}: must name at least one block, and each block once")
        return module.resolved(places, model.positions())

    @field_validator("attack")
    @classmethod
    def _canonical_aim(cls, attack: TrainingAttack | None, info: ValidationInfo) -> TrainingAttack | None:
        """Replace the aim ``0`` by ``own`` where both mean the same, so that equal trials compare equal."""
        if not hasattr(attack, "beta_atk") or "module" not in info.data:
            return attack
        return attack if attack is None or info.data["module"].beta else attack.model_copy(update={"beta_atk": "own"})

    @model_validator(mode="after")
    def _combination(self) -> Self:
        """Refuse combinations that make no sense; the message gives the reason."""
        if self.objective.attacked is False and self.attack is not None:
            raise ValueError(f"attack must be null with objective.name={self.objective.name}, which trains on natural examples")
        if self.attack is None and self.objective.attacked:
            reason = f"objective.name={self.objective.name}, which trains on adversarial examples"
            raise ValueError(f"attack must not be null with {reason}")
        if isinstance(self.objective, PCL) and self.objective.warmup >= self.training.epochs:
            reason = f"{self.training.epochs}, or its loss would never be added"
            raise ValueError(f"objective.warmup = {self.objective.warmup}: must be less than training.epochs = {reason}")
        for field in ("mean", "std"):
            numbers, channels = getattr(self.model, field), self.data.info.channels
            if len(numbers) not in {1, channels}:
                allowed = " or ".join(dict.fromkeys(["1", str(channels)]))
                raise ValueError(f"model.{field} = {list(numbers)}: must be {allowed} numbers for {self.data.dataset}")
        averaging = self.training.averaging
        if isinstance(averaging, SWA) and averaging.start > self.training.epochs:
            reason = f"{self.training.epochs}, or nothing would ever be averaged"
            raise ValueError(f"training.averaging.start = {averaging.start}: must be at most training.epochs = {reason}")
        if self.training.patience is not None and self.training.patience >= self.training.epochs:
            reason = f"{self.training.epochs}, or it would never stop the training"
            raise ValueError(f"training.patience = {self.training.patience}: must be less than training.epochs = {reason}")
        if self.selection.split == "validation" and self.data.validation == 0:
            raise ValueError("data.validation = 0: must be > 0 with selection.split=validation; or set selection.split=test")
        if isinstance(self.module, CIFS) and self.module.top_k > self.data.info.classes:
            classes = f"{self.data.info.classes}, the classes of {self.data.dataset}"
            raise ValueError(f"module.top_k = {self.module.top_k}: must be less than or equal to {classes}")
        if self.attack and self.attack.labels and self.objective != AT():
            reason = f"attack.name={self.attack.name}, which makes labels"
            raise ValueError(f"objective must be at without label_smoothing with {reason}")
        attack = self.selection.attack
        if isinstance(attack, Transfer):
            raise ValueError("selection.attack.name must not be transfer: a training has no other trial's network at hand")
        attack.check_inner("selection.attack", "the selection has its own images, those of selection.split")
        attack.check_classes("selection.attack", self.data)
        if not canonical_attack(attack, self.module):
            beta_atk = getattr(attack, "beta_atk", None)
            there = f"{len(heads(self.module)) - 1} with module.name={self.module.name}"
            raise ValueError(f"selection.attack.beta_atk = {beta_atk!r}: there is no such module; there are {there}")
        return self
