"""The figures, but for Figure 3, which is a diagram, and Figure 7."""

from search_spaces.baselines import OBJECTIVE
from search_spaces.column import AnyColumn, Measured
from search_spaces.factor import Factor, Level, choice
from search_spaces.papers.cas.space import (
    ACTIVATION_DEFENSES,
    BETA,
    CAS,
    COLUMNS,
    DEFENSE,
    PAPER,
    SVHN,
    TRAINING,
    VGG16,
    module,
)
from search_spaces.profiles import ATTACKS, NATURAL, activation_panels, activations, attacked
from search_spaces.settings import Settings
from search_spaces.study import Arm, Panel, Study

_COLUMNS = (NATURAL, *attacked("PGD-20", beta_atk=("own",)))
# What a figure shows for each channel, over all channels: how often one is active, in percent.
_FREQUENCIES: tuple[AnyColumn, ...] = (
    *_COLUMNS,
    Measured("frequency", activations(0), "frequency", times=100),
    Measured("frequency, PGD-20", activations(0, "PGD-20"), "frequency", times=100),
)


def _frequencies(where: str, alias: str, title: str, *factors: Factor, fixed: Settings | None = None) -> Study:
    """How often each channel is active in natural images and under PGD-20 (class 0, threshold 1%)."""
    panels = activation_panels(0)
    return PAPER.study(where, alias, title, *factors, columns=_FREQUENCIES, fixed=fixed or {}, panels=panels)


FIGURES = (
    PAPER.study(
        "Figure 1",
        "magnitudes",
        "Activation magnitudes of natural and adversarial images under standard and adversarial training",
        choice(
            "network",
            "network",
            levels=(Level("ResNet-18", {"model.name": "resnet-18"}), Level("VGG16", VGG16)),
            default="ResNet-18",
        ),
        TRAINING,
        columns=(
            *_COLUMNS,
            Measured("magnitude", activations(None), "magnitude"),
            Measured("magnitude, PGD-20", activations(None, "PGD-20"), "magnitude"),
        ),
        panels=activation_panels(None),
    ),
    _frequencies("Figure 2", "frequencies", "Activation frequencies under standard and adversarial training, and CAS", DEFENSE),
    _frequencies(
        "Figure 4", "frequencies-defenses", "Activation frequencies of activation-based defenses", ACTIVATION_DEFENSES
    ),
    _frequencies(
        "Figure 5",
        "frequencies-objectives",
        "Activation frequencies of TRADES and MART",
        OBJECTIVE.only("TRADES", "MART"),
        module(),
    ),
    _frequencies("Figure 6", "frequencies-svhn", "Activation frequencies on SVHN", DEFENSE, fixed=SVHN),
    PAPER.study(
        "Figure 8",
        "beta",
        "Weight of the CAS loss",
        BETA,
        columns=COLUMNS,
        fixed=CAS,
        # Appendix D: plain adversarial training. CAS with beta = 0 would still suppress.
        baselines=(Arm(("β = 0",), {"module.name": "none"}),),
    ),
    PAPER.study(
        "Figure 9",
        "t-sne",
        "Features in the plane, of standard and adversarial training with and without CAS",
        TRAINING,
        module(),
        columns=_COLUMNS,
        panels=(Panel("t-SNE", {"name": "t-sne", "attack": ATTACKS["PGD-20"]}),),
    ),
    PAPER.study(
        "Figure 10",
        "thresholds",
        "Activation frequencies by the threshold above which a channel is active",
        module(),
        columns=_FREQUENCIES,
        panels=activation_panels(0, thresholds=(0.005, 0.01, 0.05)),
    ),
)
