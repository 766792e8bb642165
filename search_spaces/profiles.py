"""Settings that the papers' studies share: attacks and their columns, adversarial training, and the three profiles."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from search_spaces.column import Column
from search_spaces.settings import Eps, Settings
from search_spaces.study import Panel, Profile


def _steps(iterations: int, step: Eps) -> Settings:
    return {"eps": Eps(), "step": step, "iterations": iterations}


def pgd(iterations: int, step: Eps) -> Settings:
    """Make the fields of PGD from a uniform random start within the profile's eps."""
    return {"name": "pgd", **_steps(iterations, step)}


def cw(iterations: int) -> Settings:
    """Make the fields of PGD on the Carlini & Wagner margin: CIFS's step size (appendix B.1), its public code's confidence."""
    return {"name": "cw", "eps": Eps(), "step": Eps(1 / 10), "iterations": iterations, "confidence": 50.0}


#: White-box attacks by the label of their column, from a random start but for FGSM.
ATTACKS: Mapping[str, Settings] = MappingProxyType(
    {
        "FGSM": {"name": "fgsm", "eps": Eps()},
        "PGD-20": pgd(20, step=Eps(1 / 10)),
        "PGD-100": pgd(100, step=Eps(1 / 10)),
        "C&W": cw(30),  # CIFS, appendix B.1
        "CW∞": {**cw(20), "confidence": 0.0},  # CAS's public evaluation; section 5.1 names PGD as the optimiser
    }
)
#: The same from the image itself, as the public codes of CIFS and FSR start them.
FROM_IMAGES: Mapping[str, Settings] = MappingProxyType(
    {label: {**attack, "start": "zero"} if "step" in attack else attack for label, attack in ATTACKS.items()}
)

#: The classes of CIFAR-10 in the order of their labels.
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

NATURAL = Column("Natural", {"name": "natural"})


def attacked(*labels: str, beta_atk: tuple[str, ...] | None, attacks: Mapping[str, Settings] = ATTACKS) -> tuple[Column, ...]:
    """Make a column for each of the ``attacks`` of these labels: accuracy of the final prediction."""
    return tuple(Column(label, attacks[label], beta_atk) for label in labels)


def activations(label: int | None, attack: str | None = None, threshold: float = 0.01) -> Settings:
    """Make the measure of the channels before the pooling, on images of one class (None: all), natural or under an attack.

    The papers say only PGD-20 of the attacks of these figures, so we take that of their tables.
    """
    images = ATTACKS[attack] if attack else NATURAL.attack
    return {"name": "activations", "attack": images, "label": label, "threshold": threshold}


def activation_panels(*labels: int | None, thresholds: tuple[float, ...] = (0.01,)) -> tuple[Panel, ...]:
    """Channels under natural images and under PGD-20, for each class and each threshold."""

    def title(label: int | None, images: str, threshold: float) -> str:
        of = "all classes" if label is None else f"class {label}"
        return ", ".join([of, images, *([f"{threshold:.1%}"] if len(thresholds) > 1 else [])])

    return tuple(
        Panel(title(label, attack or "Natural", threshold), activations(label, attack, threshold))
        for label in labels
        for threshold in thresholds
        for attack in (None, "PGD-20")
    )


def _within(part: str, settings: Settings) -> Settings:
    return {f"{part}.{field}": value for field, value in settings.items()}


def _multistep(*milestones: int) -> Settings:
    return {"training.schedule.name": "multistep", "training.schedule.milestones": milestones}


#: Where CAS (section 5.1) and CIFS (appendix B.1) drop the learning rate.
_MILESTONES = (75, 90)

#: Adversarial training of a ResNet-18 on CIFAR-10, where CAS (section 5.1) and CIFS (appendix B.1) agree.
_RECIPE: Settings = {
    "data.dataset": "cifar10",
    "data.crop": 4,
    "data.flip": True,
    "model.name": "resnet-18",
    "model.width": 64,
    "objective.name": "at",
    **_within("attack", pgd(10, step=Eps(1 / 4))),
    "training.batch_size": 128,
    "training.lr": 0.1,
    "training.momentum": 0.9,
    "training.weight_decay": 2e-4,
    **_multistep(*_MILESTONES),
    **_within("selection.attack", FROM_IMAGES["PGD-20"]),
}

#: The papers train on all images and choose the best epoch on the test set. The other profiles hold images out for it.
_ON_TEST_SET: Settings = {"data.validation": 0.0, "selection.split": "test"}


def _lasting(epochs: int) -> Settings:
    """Set the number of epochs, and in proportion what counts epochs too: FAT's milestones of tau, PCL's warm-up."""
    return {
        "training.epochs": epochs,
        "attack.milestones": (1 + epochs * 50 // 120, 1 + epochs * 90 // 120),
        "objective.warmup": epochs // 4,
    }


#: A small ResNet on scikit-learn's handwritten digits (8 x 8): seconds a trial, and the same for every paper. Fields that the
#: papers set for their larger networks are pinned too, so that a factor of networks disappears.
_DEMO: Settings = {
    "data.dataset": "digits",
    "data.validation": 0.1,
    "data.crop": 1,
    "data.flip": False,
    "model.name": "resnet-10",
    "model.width": 8,
    "model.normalise": True,
    # The most effective attack where time is short: two steps of half eps cross the ball and leave time for epochs. The kind of
    # attack stays the study's choice, here and in the selection.
    **_within("attack", _steps(2, Eps(1 / 2))),
    **_lasting(20),
    "training.batch_size": 32,
    # Under attack more validation digits are right than at 0.1 (83.8 % against 81.6 %, of Vanilla, CAS and CIFS).
    "training.lr": 0.2,
    "training.weight_decay": 2e-4,
    "training.schedule.name": "one-cycle",
    # As in the paper's words; where the label may count twice, as in its code, fewer natural digits are right.
    "module.training_top": "distinct",
    # It runs after every epoch, so a long attack would take longer than the training.
    **_within("selection.attack", _steps(5, Eps(1 / 4))),
}

#: A quarter of the papers' epochs, each in half the time. In so few epochs one cycle of the learning rate reaches a higher
#: accuracy than a rate that drops twice (Wong et al., ICLR 2020).
_SHORT: Settings = {
    **_lasting(30),
    "training.schedule.name": "one-cycle",
    "training.precision": "bf16",
    "module.training_top": "distinct",
}


def profiles(
    epochs: int,
    *,
    eps: float = 8 / 255,
    recipe: Settings = MappingProxyType({}),
    free: Collection[str] = (),
    demo: Settings = MappingProxyType({}),
) -> Mapping[str, Profile]:
    """Make the three profiles of a paper.

    Args:
        epochs: of the paper's training.
        eps: the budget in pixels in [0, 1], of training and evaluation.
        recipe: fields in which the paper's training differs from the shared recipe.
        free: fields that no profile pins.
        demo: fields that the demo also pins, where a defense does not learn with the usual ones.

    The papers print single runs. Three seeds are the fewest that show how much of a difference between two rows may be random.
    """
    pinned = (_SHORT, {**_DEMO, **demo})
    short, small = ({field: value for field, value in pins.items() if field not in free} for pins in pinned)
    every = (
        Profile("paper", eps=eps, seeds=3, settings={**_RECIPE, **_ON_TEST_SET, **recipe, "training.epochs": epochs}),
        Profile("short", eps=eps, seeds=3, settings=_RECIPE, pins=short),
        # The strokes of a digit are high in contrast: 8/255 would hardly change a prediction.
        Profile("demo", eps=0.125, seeds=2, settings=_RECIPE, pins=small, beta_atk=("0", "2", "inf-1")),
    )
    return MappingProxyType({profile.name: profile for profile in every})
