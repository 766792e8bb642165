"""What is inserted in the network."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainables.config.registry import MODULE, Open
from trainables.config.spec import Count, NonNegative, Positive, Spec


class _Inserted(Spec):
    @property
    def draws(self) -> bool:
        """Whether the prediction, of a trained network seen as it is, is a matter of chance."""
        return False


class Silent(_Inserted):
    """What makes no prediction of its own: an attacker has the final one only to aim at."""

    predicts: ClassVar[bool] = False
    beta: ClassVar[float] = 0.0
    views: ClassVar[tuple[str, ...]] = ("soft",)


class Predicting(_Inserted):
    """What predicts too. Its ``beta``, a field or a constant, is the ``beta_atk`` that its own training attack has.

    ``views``: besides ``plain``, those that show an attacker something else; see :mod:`trainables.attacks.building_blocks.surrogate`.
    """

    predicts: ClassVar[bool] = True
    views: ClassVar[tuple[str, ...]] = ("soft",)


class NoModule(Silent):
    """The network as it is ("vanilla")."""

    name: Literal["none"] = "none"
    views: ClassVar[tuple[str, ...]] = ()
    positions: ClassVar[tuple[str, ...]] = ()


class CAS(Predicting):
    """Channel-wise Activation Suppressing (Bai et al., ICLR 2021); see :mod:`trainables.modules.cas`.

    ``suppression=False`` leaves the auxiliary heads without their masks (the paper's Table 2).
    """

    name: Literal["cas"] = "cas"
    positions: tuple[str, ...] = ("block4",)
    beta: NonNegative = 2.0
    suppression: bool = True


class Sigmoid(Spec):
    """CIFS importance mask 1 / (1 + exp(-alpha g))."""

    name: Literal["sigmoid"] = "sigmoid"
    alpha: Positive = 10.0


class Softplus(Spec):
    """CIFS importance mask log(1 + exp(alpha g)) / alpha."""

    name: Literal["softplus"] = "softplus"
    alpha: Positive = 5.0


class Softmax(Spec):
    """CIFS importance mask softmax(g / T) over the channels."""

    name: Literal["softmax"] = "softmax"
    T: Positive = 1.0


class CIFS(Predicting):
    """Channel-wise Importance-based Feature Selection (Yan et al., ICML 2021); see :mod:`trainables.modules.cifs`.

    ``probes``: one a position, in the positions' order; a single one stands for all.
    ``top_k``: how many logits the channels' relevance is taken from, at most the number of classes.
    """

    name: Literal["cifs"] = "cifs"
    positions: tuple[str, ...] = ("P2", "P1")
    probes: tuple[Literal["linear", "mlp"], ...] = ("mlp", "linear")
    top_k: Count = 2
    imgf: Annotated[Sigmoid | Softplus | Softmax, Field(discriminator="name")] = Softmax()
    beta: NonNegative = 2.0


class FSR(Predicting):
    """Feature Separation and Recalibration (Kim et al., CVPR 2023); see :mod:`trainables.modules.fsr`.

    ``tau``: temperature of the mask. ``lambda_sep``, ``lambda_rec``: weights of the separation and the recalibration loss.
    ``separation_loss``: what f- is trained for (supplement, Table S5). ``mask``: the soft mask, or the thresholded one that
    has no gradient (Table S6). ``separation``: where the mask comes from (Table S7; ``none`` is its "w/o Separation").
    ``tau`` and ``mask`` are of the learned separation only.
    """

    #: FSR is trained against attacks on the final prediction alone.
    beta: ClassVar[float] = 0.0
    views: ClassVar[tuple[str, ...]] = ("soft", "train")

    name: Literal["fsr"] = "fsr"
    positions: tuple[str, ...] = ("P1",)
    tau: Positive = 0.1
    lambda_sep: NonNegative = 1.0
    lambda_rec: NonNegative = 1.0
    separation_loss: Literal["mispredicted", "uniform", "entropy-max", "average-targeted"] = "mispredicted"
    mask: Literal["gumbel", "binary"] = "gumbel"
    separation: Literal["learned", "greedy", "random", "none"] = "learned"

    @property
    def draws(self) -> bool:
        """A random mask is drawn in every forward pass."""
        return self.separation == "random"


class KWTA(Silent):
    """k-Winners-Take-All (Xiao et al., ICLR 2020); see :mod:`trainables.modules.kwta`.

    ``ratio``: the share of each example's activations that is kept; 0.2 in CAS's Table 1.
    """

    name: Literal["kwta"] = "kwta"
    positions: tuple[str, ...] = ("all",)
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.2


class SAP(Silent):
    """Stochastic Activation Pruning (Dhillon et al., ICLR 2018); see :mod:`trainables.modules.sap`.

    ``ratio``: draws, with replacement, for each activation there is; above 1 fewer of them are pruned.
    """

    name: Literal["sap"] = "sap"
    positions: tuple[str, ...] = ("all",)
    ratio: Positive = 1.0

    @property
    def draws(self) -> bool:
        """What is pruned is drawn in every forward pass."""
        return True


Module = Annotated[NoModule | CAS | CIFS | FSR | KWTA | SAP, Open(MODULE)]
