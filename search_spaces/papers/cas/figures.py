"""The figures, but for Figure 3, which is a diagram, and Figure 7."""

from search_spaces.baselines import OBJECTIVE
from search_spaces.column import Measured
from search_spaces.factor import Factor, Level, choice
from search_spaces.papers.cas.space import (
    ACTIVATION_DEFENSES,
    BETA,
    CAS,
    COLUMNS,
    DEFENSE,
    PROFILES,
    SVHN,
    TRAINING,
    VGG16,
    module,
)
from search_spaces.profiles import ATTACKS, NATURAL, activation_pictures, activations, attacked
from search_spaces.settings import Settings
from search_spaces.study import Arm, Picture, Study

_COLUMNS = (NATURAL, *attacked("PGD-20", beta_atk=("own",)))
# What a figure shows for each channel, over all channels: how often one is active, in percent.
_FREQUENCIES = (
    Measured("frequency", activations(0), "frequency", times=100),
    Measured("frequency, PGD-20", activations(0, "PGD-20"), "frequency", times=100),
)


def _frequencies(figure: int, alias: str, title: str, *factors: Factor, fixed: Settings | None = None) -> Study:
    """How often each channel is active in natural images and under PGD-20 (class 0, threshold 1%)."""
    return Study(
        name=f"cas/figure-{figure}",
        aliases=(alias,),
        reference=f"Bai et al., ICLR 2021, Figure {figure}",
        title=title,
        factors=factors,
        columns=(*_COLUMNS, *_FREQUENCIES),
        profiles=PROFILES,
        fixed=fixed or {},
        pictures=activation_pictures(0),
    )


FIGURES = (
    Study(
        name="cas/figure-1",
        aliases=("magnitudes",),
        reference="Bai et al., ICLR 2021, Figure 1",
        title="Activation magnitudes of natural and adversarial images under standard and adversarial training",
        factors=(
            choice(
                "network",
                "network",
                levels=(Level("ResNet-18", {"model.name": "resnet-18"}), Level("VGG16", VGG16)),
                default="ResNet-18",
            ),
            TRAINING,
        ),
        columns=(
            *_COLUMNS,
            Measured("magnitude", activations(None), "magnitude"),
            Measured("magnitude, PGD-20", activations(None, "PGD-20"), "magnitude"),
        ),
        profiles=PROFILES,
        pictures=activation_pictures(None),
    ),
    _frequencies(2, "frequencies", "Activation frequencies under standard and adversarial training, and CAS", DEFENSE),
    _frequencies(4, "frequencies-defenses", "Activation frequencies of activation-based defenses", ACTIVATION_DEFENSES),
    _frequencies(
        5, "frequencies-objectives", "Activation frequencies of TRADES and MART", OBJECTIVE.only("TRADES", "MART"), module()
    ),
    _frequencies(6, "frequencies-svhn", "Activation frequencies on SVHN", DEFENSE, fixed=SVHN),
    Study(
        name="cas/figure-8",
        aliases=("beta",),
        reference="Bai et al., ICLR 2021, Figure 8",
        title="Weight of the CAS loss",
        factors=(BETA,),
        columns=COLUMNS,
        profiles=PROFILES,
        fixed=CAS,
        # Appendix D: plain adversarial training. CAS with beta = 0 would still suppress.
        baselines=(Arm(("β = 0",), {"module.name": "none"}),),
    ),
    Study(
        name="cas/figure-9",
        aliases=("t-sne",),
        reference="Bai et al., ICLR 2021, Figure 9",
        title="Features in the plane, of standard and adversarial training with and without CAS",
        factors=(TRAINING, module()),
        columns=_COLUMNS,
        profiles=PROFILES,
        pictures=(Picture("t-SNE", {"name": "t-sne", "attack": ATTACKS["PGD-20"]}),),
    ),
    Study(
        name="cas/figure-10",
        aliases=("thresholds",),
        reference="Bai et al., ICLR 2021, Figure 10",
        title="Activation frequencies by the threshold above which a channel is active",
        factors=(module(),),
        columns=(*_COLUMNS, *_FREQUENCIES),
        profiles=PROFILES,
        pictures=activation_pictures(0, thresholds=(0.005, 0.01, 0.05)),
    ),
)
