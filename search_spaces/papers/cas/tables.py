"""The tables. Table 7 has the losses in formulas."""

from dataclasses import replace

from search_spaces.baselines import OBJECTIVE, STANDARD, VANILLA
from search_spaces.column import Column
from search_spaces.ladders import over_eps
from search_spaces.papers.cas.space import (
    ACTIVATION_DEFENSES,
    BLOCK,
    CAS,
    COLUMNS,
    DATASET,
    PROFILES,
    SUPPRESSION,
    VGG16,
    WRN_34_10,
    module,
)
from search_spaces.profiles import ATTACKS
from search_spaces.settings import Eps, Settings, SourceNetwork
from search_spaces.study import Arm, Study

# The paper gives the steps alone: their size is PGD-20's, and EOT is PGD-20 with the draws that AutoAttack has. The demo
# averages fewer gradients.
_AVG_PGD: Settings = {"name": "avg-pgd", "eps": Eps(), "step": Eps(1 / 10), "iterations": 100}
_EOT: Settings = {**ATTACKS["PGD-20"], "eot": 20}

# Both at their authors' settings (appendices F.4 and F.5), but that the demo makes fewer queries.
_AUTOATTACK: Settings = {"name": "autoattack", "eps": Eps()}
_MD: Settings = {"name": "md", "eps": Eps()}


def _transferred(attack: str) -> Column:
    """An attack on a naturally trained ResNet-50 (section 5.2)."""
    source = SourceNetwork({**STANDARD, "model.name": "resnet-50"})
    return Column(f"{attack} (BB)", {"name": "transfer", "source": source, "attack": ATTACKS[attack]})


def _nattack(queries: int, examples: int, *profiles: str) -> Column:
    """NAttack, by an attacker who has the final prediction only."""
    attack: Settings = {"name": "nattack", "eps": Eps(), "queries": queries, "examples": examples}
    return Column("NAttack", attack, beta_atk=("0",), profiles=profiles)


def _on_module(column: Column) -> Column:
    """The module's own prediction, with its own loss attacked.

    Of Block4's two it is the first: the paper speaks of one, and an attack on the second hardly does harm (CIFS, Table B.3).
    """
    beta_atk = ("inf-1",) if column.adversarial else column.beta_atk
    return replace(column, beta_atk=beta_atk, head="1", rows=("CAS",))


TABLES = (
    Study(
        name="cas/table-1",
        aliases=("activation-defenses",),
        reference="Bai et al., ICLR 2021, Table 1",
        title="CAS and defenses that change or constrain activations",
        factors=(ACTIVATION_DEFENSES,),
        columns=(
            *COLUMNS,
            Column("Avg-PGD-100", _AVG_PGD, profiles=("paper", "short")),
            Column("Avg-PGD-100", {**_AVG_PGD, "samples": 3}, profiles=("demo",)),
            Column("EOT", _EOT),
        ),
        profiles=PROFILES,
    ),
    Study(
        name="cas/table-2",
        aliases=("suppression",),
        reference="Bai et al., ICLR 2021, Table 2",
        title="CAS with its channel suppression and as an auxiliary classifier only",
        factors=(SUPPRESSION,),
        columns=COLUMNS,
        profiles=PROFILES,
        fixed=CAS,
        baselines=(Arm(("AT",), VANILLA),),
    ),
    Study(
        name="cas/table-3",
        aliases=("blocks",),
        reference="Bai et al., ICLR 2021, Table 3",
        title="CAS after different blocks of ResNet-18",
        factors=(BLOCK,),
        columns=COLUMNS,
        profiles=PROFILES,
        fixed=CAS,
    ),
    Study(
        name="cas/table-4",
        aliases=("module-robustness",),
        reference="Bai et al., ICLR 2021, Table 4",
        title="Attack on the final layer without CAS, and with it on its module alone, whose own prediction is read",
        factors=(OBJECTIVE, module()),
        columns=(*(replace(column, rows=("Vanilla",)) for column in COLUMNS), *(_on_module(column) for column in COLUMNS)),
        profiles=PROFILES,
    ),
    Study(
        name="cas/table-5",
        aliases=("white-box",),
        reference="Bai et al., ICLR 2021, Table 5",
        title="White-box robustness, last epoch",
        factors=(DATASET, OBJECTIVE, module()),
        columns=COLUMNS,
        profiles=PROFILES,
    ),
    Study(
        name="cas/table-6",
        aliases=("black-box",),
        reference="Bai et al., ICLR 2021, Table 6",
        title="Black-box robustness: transfer from a naturally trained ResNet-50, and NAttack",
        factors=(DATASET, OBJECTIVE, module()),
        # Section 5.2: 1,000 images, 20,000 queries.
        columns=(
            _transferred("PGD-20"),
            _transferred("CW∞"),
            _nattack(20_000, 1000, "paper", "short"),
            _nattack(2000, 100, "demo"),
        ),
        profiles=PROFILES,
    ),
    Study(
        name="cas/table-8",
        aliases=("wide-resnet",),
        reference="Bai et al., ICLR 2021, Table 8",
        title="White-box robustness of WRN-34-10",
        # In front of the last block and behind it, where the public code has its two modules.
        factors=(OBJECTIVE, module({**CAS, "module.positions": ("P2", "P1")})),
        columns=COLUMNS,
        profiles=PROFILES,
        fixed=WRN_34_10,
        checkpoint="both",
    ),
    Study(
        name="cas/table-9",
        aliases=("vgg",),
        reference="Bai et al., ICLR 2021, Table 9",
        title="White-box robustness of VGG16",
        # Appendix F.2: the last three convolutions.
        factors=(OBJECTIVE, module({**CAS, "module.positions": ("P3", "P2", "P1"), "module.beta": 3.0})),
        columns=COLUMNS,
        profiles=PROFILES,
        fixed=VGG16,
        checkpoint="both",
    ),
    Study(
        name="cas/table-10",
        aliases=("white-box-best",),
        reference="Bai et al., ICLR 2021, Table 10",
        title="White-box robustness, best epoch",
        factors=(DATASET, OBJECTIVE, module()),
        columns=COLUMNS,
        profiles=PROFILES,
        checkpoint="best",
    ),
    Study(
        name="cas/table-11",
        aliases=("autoattack",),
        reference="Bai et al., ICLR 2021, Table 11",
        title="AutoAttack",
        factors=(OBJECTIVE, module()),
        columns=(
            Column("AutoAttack", _AUTOATTACK, profiles=("paper", "short")),
            Column("AutoAttack", {**_AUTOATTACK, "queries": 1000, "examples": 100}, profiles=("demo",)),
        ),
        profiles=PROFILES,
        checkpoint="both",
    ),
    Study(
        name="cas/table-12",
        aliases=("margin-decomposition",),
        reference="Bai et al., ICLR 2021, Table 12",
        title="Margin decomposition of the final prediction (CE), of the module's (CAS), and of both",
        factors=(OBJECTIVE, module()),
        columns=(
            Column("MD (CE)", _MD, beta_atk=("0",)),
            Column("MD (CAS)", _MD, beta_atk=("inf",), rows=("CAS",)),
            Column("MD (CE+CAS)", _MD, rows=("CAS",)),
        ),
        profiles=PROFILES,
    ),
    Study(
        name="cas/table-13",
        aliases=("eps",),
        reference="Bai et al., ICLR 2021, Table 13",
        title="CAS under PGD-20 from a quarter to four times the training's ε, which is 8/255 in the paper",
        factors=(OBJECTIVE,),
        columns=over_eps(ATTACKS["PGD-20"], (1 / 4, 1 / 2, 1, 2, 4), step=1 / 10),
        profiles=PROFILES,
        fixed=CAS,
    ),
)
