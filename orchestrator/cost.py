"""What attacks cost, to say how long a plan takes. Pure."""

from trainables.config import (
    CW,
    CWL2,
    DDN,
    DIFGSM,
    FAB,
    FGSM,
    MD,
    MIM,
    PGD,
    AsTraining,
    Attack,
    AutoAttack,
    AutoPGD,
    AvgPGD,
    Boundary,
    BrendelBethge,
    ClassGradients,
    DeepFool,
    Measure,
    NAttack,
    Natural,
    Noise,
    Perturbations,
    Soundness,
    Square,
    Transfer,
)

#: A forward pass, as a share of a forward-backward pass.
FORWARD = 1 / 3


def attack_passes(attack: Attack, classes: int) -> float:
    """Forward-backward passes for one image that nothing breaks, among so many ``classes``."""
    match attack:
        case Natural():
            return FORWARD
        case Noise():
            return FORWARD * attack.restarts
        case FGSM():
            return attack.eot
        case PGD() | CW():
            return attack.iterations * attack.restarts * attack.eot
        case MIM() | DIFGSM():
            return attack.iterations * attack.eot
        case AvgPGD():
            return attack.iterations * attack.samples
        case MD():
            return 2 * (attack.iterations + 1) * attack.restarts * attack.eot
        case AutoPGD():
            targets = min(attack.targets, classes - 1) if attack.loss == "targeted-dlr" else 1
            return (attack.iterations + 1) * targets * attack.restarts * attack.eot
        case FAB():
            # One boundary for each target, or all of them.
            return attack.iterations * attack.restarts * (min(attack.targets, classes - 1) or classes)
        case DeepFool():
            return attack.iterations * classes
        case DDN() | BrendelBethge():
            return attack.iterations
        case CWL2():
            return attack.iterations * attack.searches
        case Boundary():
            return FORWARD * attack.iterations
        case Square():
            return FORWARD * attack.queries * attack.restarts
        case NAttack():
            return FORWARD * attack.queries
        case AutoAttack():
            return sum(attack_passes(part, classes) for part in attack.parts())
        case AsTraining():
            return getattr(attack.attack, "iterations", 1)
        case Transfer():
            return attack_passes(attack.attack, classes)


def measure_passes(measure: Measure, classes: int) -> float:
    """Forward-backward passes for one image among so many ``classes``: the attacks', and those of looking."""
    match measure:
        case Soundness():
            return 1 + FORWARD
        case ClassGradients():
            return classes
        case Perturbations():
            return attack_passes(measure.attack, classes) + attack_passes(measure.reference, classes)
        case _:
            return attack_passes(measure.attack, classes) + 2 * FORWARD
