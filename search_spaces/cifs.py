"""Channel-wise Importance-based Feature Selection (Yan et al., ICML 2021): its search space and its ablations."""

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces.baselines import VANILLA
from search_spaces.column import Column
from search_spaces.factor import Factor, Level, Settings, choice, scalar
from search_spaces.profiles import ATTACKS, NATURAL, attacked, profiles
from search_spaces.study import Arm, Study

#: The paper's own choice, section 4.1: the last two residual blocks, an MLP and a linear probe, top-2, softmax.
CIFS: Settings = {
    "module.name": "cifs",
    "module.positions": ("P2", "P1"),
    "module.probes": ("mlp", "linear"),
    "module.top_k": 2,
    "module.imgf.name": "softmax",
    "module.imgf.T": 1.0,
    "module.beta": 2.0,
}
#: Its rival. Table B.3 attacks two CAS modules; they stand where those of CIFS do, which on ResNet-18 is CAS's own Block4.
CAS: Settings = {"module.name": "cas", "module.positions": ("P2", "P1"), "module.beta": 2.0}

BETA = scalar(
    "beta",
    "β",
    "module.beta",
    levels=(0.1, 1.0, 2.0, 10.0, 100.0),
    default=2.0,
    distribution=FloatDistribution(0.1, 100, log=True),
)
TOP_K = Factor(
    "top_k",
    "k",
    levels=tuple(Level(f"top-{k}", {"module.top_k": k}) for k in (1, 2, 3)),
    default="top-2",
    distribution=IntDistribution(1, 5),
)
IMGF = choice(
    "imgf",
    "IMGF",
    levels=(
        Level("sigmoid", {"module.imgf.name": "sigmoid"}),
        Level("softplus", {"module.imgf.name": "softplus"}),
        Level("softmax", {"module.imgf.name": "softmax"}),
    ),
    default="softmax",
)
# Section 3.3 takes 10 for the sigmoid and 5 for the softplus; the softmax has T instead.
ALPHA = scalar(
    "alpha", "α", "module.imgf.alpha", levels=(5.0, 10.0), default=10.0, distribution=FloatDistribution(0.1, 100, log=True)
)
T = scalar("T", "T", "module.imgf.T", levels=(1.0,), default=1.0, distribution=FloatDistribution(0.01, 100, log=True))
POSITIONS = choice(
    "positions",
    "P",
    levels=(
        Level("P1", {"module.positions": ("P1",), "module.probes": ("linear",)}),
        Level("P2", {"module.positions": ("P2",), "module.probes": ("mlp",)}),
        Level("P1-P2", {"module.positions": ("P2", "P1"), "module.probes": ("mlp", "linear")}),
    ),
    default="P1-P2",
)
PROBES = choice(
    "probes",
    "A",
    levels=(
        Level("Linear-Linear", {"module.probes": ("linear", "linear")}),
        Level("MLP-Linear", {"module.probes": ("mlp", "linear")}),
    ),
    default="MLP-Linear",
)
SPACE = (BETA, TOP_K, IMGF, ALPHA, T, POSITIONS, PROBES)

NETWORK = choice(
    "network",
    "network",
    levels=(
        Level("ResNet-18", {"model.name": "resnet-18"}),
        # Appendix B.1.
        Level(
            "WRN-28-10",
            {"model.name": "wrn-28", "model.width": 160, "training.epochs": 110, "training.weight_decay": 5e-4},
        ),
    ),
    default="ResNet-18",
)
DEFENSE = choice(
    "defense", "defense", levels=(Level("Vanilla", VANILLA), Level("CAS", CAS), Level("CIFS", CIFS)), default="CIFS"
)

_PROFILES = profiles(epochs=120)
_VANILLA_ROW = (Arm(("Vanilla",), VANILLA),)
# The attacker tries several weights of the modules in the joint loss, and the paper prints the worst (section 4.1).
_COLUMNS = (NATURAL, *attacked("FGSM", "PGD-20", "C&W", "PGD-100", beta_atk=None))
_APPENDIX_E_COLUMNS = (NATURAL, *attacked("FGSM", "PGD-20", "PGD-100", beta_atk=None))


def _appendix_e(table: int, alias: str, title: str, factor: Factor) -> Study:
    """One choice in CIFS at a time, beside the network without it."""
    return Study(
        name=f"cifs/table-e{table}",
        aliases=(alias,),
        reference=f"Yan et al., ICML 2021, Table E.{table}",
        title=title,
        factors=(factor,),
        columns=_APPENDIX_E_COLUMNS,
        profiles=_PROFILES,
        fixed=CIFS,
        baselines=_VANILLA_ROW,
    )


STUDIES = (
    Study(
        name="cifs/table-1",
        aliases=("robustness",),
        reference="Yan et al., ICML 2021, Table 1",
        title="CIFS and CAS under adversarial training, last epoch",
        factors=(NETWORK, DEFENSE),
        columns=_COLUMNS,
        profiles=_PROFILES,
    ),
    Study(
        name="cifs/table-5",
        aliases=("top-k",),
        reference="Yan et al., ICML 2021, Table 5",
        title="Relevance taken from the k largest logits: attack point / prediction under PGD-20",
        factors=(TOP_K,),
        columns=(
            Column("Natural/Final", NATURAL.attack),
            # Attack point "CIFS" is the first module's raw prediction: top-2's 54.96 is the row "inf-1" of Table B.3.
            Column("CIFS/CIFS", ATTACKS["PGD-20"], beta_atk=("inf-1",), head="1"),
            Column("CIFS/Final", ATTACKS["PGD-20"], beta_atk=("inf-1",)),
            Column("Adap/Final", ATTACKS["PGD-20"], beta_atk=None),
        ),
        profiles=_PROFILES,
        fixed=CIFS,
        baselines=_VANILLA_ROW,
    ),
    Study(
        name="cifs/table-b2",
        aliases=("robustness-best",),
        reference="Yan et al., ICML 2021, Table B.2",
        title="CIFS and CAS under adversarial training, best epoch",
        factors=(NETWORK, DEFENSE),
        columns=_COLUMNS,
        profiles=_PROFILES,
        checkpoint="best",
    ),
    Study(
        name="cifs/table-b3",
        aliases=("beta-atk",),
        reference="Yan et al., ICML 2021, Table B.3",
        title="Weight of the modules in the attacker's joint loss",
        factors=(DEFENSE,),
        columns=_COLUMNS,
        profiles=_PROFILES,
        rows_by_beta=True,
    ),
    _appendix_e(1, "beta", "Weight of the probes' loss", BETA),
    _appendix_e(2, "positions", "CIFS in the last block (P1), the one before (P2), or both", POSITIONS),
    _appendix_e(3, "probes", "Probes in the last two blocks, the earlier one first", PROBES),
)
