"""The template that `advsweep new-study --plugins` writes: a study mine/beta with a plugin of most kinds."""

PLUGINS = '''"""A study with plugins: `advsweep run mine/beta --study-file THIS_FILE --profile demo`.

A plugin is a specification, whose fields can be set like any other, and its implementation below. Delete the plugins that you
do not need. trainables/plugins/registration.py says what each kind must do, and the built-ins are good examples. After a plugin
is edited, the trials and evaluations that use it are run again. Modules that this file imports from its folder are shipped to
other nodes with it; data are not.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from search_spaces.baselines import VANILLA
from search_spaces.column import Column
from search_spaces.factor import Level, choice
from search_spaces.profiles import NATURAL, attacked, profiles
from search_spaces.settings import Eps
from search_spaces.study import Arm, Study
from torch import nn
from trainables import plugins
from trainables.data.digits import digits

# --- a module: what is inserted in the network --------------------------------------------------------------------------


class Gate(plugins.Silent):  # or plugins.Predicting, with a beta, for a module that makes predictions
    name: Literal["gate"] = "gate"
    positions: tuple[str, ...] = ("P1",)
    width: int = 8


@plugins.module(Gate)
class GateModule(plugins.InsertedModule):
    """Channels are weighed by a small network of their means (Hu et al., CVPR 2018)."""

    def __init__(self, spec: Gate, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.net = nn.Sequential(nn.Linear(channels, spec.width), nn.ReLU(), nn.Linear(spec.width, channels), nn.Sigmoid())

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> plugins.Insertion:
        return plugins.Insertion(z * self.net(z.mean((2, 3)))[:, :, None, None], None)


# --- an attack on trained networks --------------------------------------------------------------------------------------


class Corners(plugins.Linf, plugins.Scored):  # or plugins.Expected for an attack by gradients of case.model
    sees = plugins.Sees.SCORES
    iterates = True

    name: Literal["corners"] = "corners"
    iterations: int = 10


@plugins.attack(Corners)
def corners(spec: Corners, case: plugins.Case) -> torch.Tensor:
    """Random corners of the ball; of all that were tried, the one with the largest loss."""
    loss = case.objective(lambda logits, y: F.cross_entropy(logits, y, reduction="none"))
    worst, images = case.x.new_full((len(case.x),), -torch.inf), case.x
    for _ in range(spec.iterations):
        sign = torch.randint(2, case.x.shape, generator=case.generator, device=case.x.device) * 2 - 1
        x = (case.x + spec.eps * sign).clamp(0, 1)
        with torch.no_grad():
            value = loss(case.model(x), case.y)
        images = torch.where((value > worst)[:, None, None, None], x, images)
        worst = torch.maximum(value, worst)
    return images


# --- an objective: what the weights minimise ----------------------------------------------------------------------------


class Focal(plugins.Trained):
    name: Literal["focal"] = "focal"
    gamma: float = 1.0


@plugins.objective(Focal)
def focal(spec, model, x, x_adv, y, weights):
    """Adversarial training weighted towards wrong examples (Lin et al., ICCV 2017), on the final prediction alone."""
    outputs = model(x_adv, y)
    loss = F.cross_entropy(outputs.logits, y, reduction="none")
    return plugins.Loss((1 - torch.exp(-loss.detach())) ** spec.gamma * loss, outputs)


# --- a training attack: what the inputs maximise ------------------------------------------------------------------------


class OneStep(plugins.Joint):
    name: Literal["one-step"] = "one-step"


@plugins.training_attack(OneStep)
def one_step(spec: OneStep, batch: plugins.Batch) -> torch.Tensor:
    """A single step from the image itself."""
    x = batch.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(batch.objective("ce")(batch.model(x), batch.y).sum(), x)
    return (batch.x + spec.eps * gradient.sign()).clamp(0, 1)


# --- a model ------------------------------------------------------------------------------------------------------------


@plugins.model("two-layers", blocks=(1, 1))  # positions block1.1 and block2.1
class TwoLayers(plugins.Network):
    def __init__(self, model, info: plugins.DatasetInfo) -> None:
        super().__init__(model)
        self.one = nn.Conv2d(info.channels, model.width, 3, padding=1)
        self.two = nn.Conv2d(model.width, 2 * model.width, 3, padding=1)
        self.channels = {"block1.1": model.width, "block2.1": 2 * model.width}
        self.fc = nn.Linear(2 * model.width, info.classes)
        plugins.initialise_as_he(self)

    def extract(self, x: torch.Tensor, y: torch.Tensor | None, trace: plugins.Trace) -> torch.Tensor:
        z = self.visit("block1.1", F.relu(self.one(x)), y, trace)
        return self.visit("block2.1", F.relu(self.two(F.max_pool2d(z, 2))), y, trace)


# --- a data set ---------------------------------------------------------------------------------------------------------


@plugins.data("dark-digits", plugins.DatasetInfo(classes=10, channels=1, size=8, train=1437, test=360))
def dark_digits(name: str, data_dir: str, download: bool) -> tuple[plugins.Examples, plugins.Examples]:
    """Handwritten digits with half the contrast."""
    return tuple(plugins.Examples(part.images // 2, part.labels) for part in digits(name, data_dir, download))


# --- the study, which uses plugins by their names -----------------------------------------------------------------------

ROWS = choice(
    "defense",
    "defense",
    levels=(
        Level("Gate", {"module.name": "gate"}),
        Level("Gate and Focal", {"module.name": "gate", "objective.name": "focal", "objective.gamma": 2.0}),
    ),
    default="Gate",
)

STUDY = Study(
    name="mine/beta",
    aliases=(),
    title="A gate on channels",
    reference="own study",
    factors=(ROWS,),
    columns=(NATURAL, *attacked("PGD-20", beta_atk=None), Column("Corners", {"name": "corners", "eps": Eps()})),
    profiles=profiles(epochs=100, eps=8 / 255),
    baselines=(Arm(("Vanilla",), VANILLA),),
)
'''
