"""Specifications of the modules that are inserted in a network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import Field

from trainables.config.architecture import Place, convolution
from trainables.config.terms.importance import Sigmoid, Softmax, Softplus
from trainables.config.terms.registry import MODULE, OneOf
from trainables.config.terms.spec import Count, Named, NonNegative, Positive

T = TypeVar("T")

#: Number of draws whose mean softmax is the prediction of a stochastic network that does not say otherwise.
AVERAGED = 10

#: Channels inside FSR's separation and recalibration nets, and units of a hidden layer of CIFS's probes.
FSR_CHANNELS, HIDDEN = 64, 128


class Inserted(Named):
    """What every module is.

    ``positions``: where in the network it stands, by its own names (``block4.2``), those of stages (``block4``) or the papers'
    (``P1`` is the last block, ``P2`` the one before); a field or a constant. ``beta``: the weight of its own predictions, with
    which its training attack aims at them; a field or a constant.

    Attributes:
        predicts: whether the module makes a prediction, at which an attacker can aim.
        views: views of the module, apart from ``plain``, whose gradients differ from the module's; see
            :mod:`trainables.attacks.building_blocks.surrogate`.
    """

    predicts: ClassVar[bool] = False
    views: ClassVar[tuple[str, ...]] = ("soft",)

    if TYPE_CHECKING:  # fields of some modules, constants of others

        @property
        def positions(self) -> tuple[str, ...]: ...

        @property
        def beta(self) -> float: ...

    @property
    def draws(self) -> bool:
        """Whether the prediction of a trained network is random."""
        return False

    def resolved(self, places: Sequence[str], every: Sequence[str]) -> Self:
        """Return the same module with the network's own names of its positions, in forward order: the form that is hashed.

        ``places``: these names, in the order of ``positions``, each once. ``every``: all of the network's, in forward order.
        """
        return self.model_copy(update={"positions": tuple(sorted(places, key=every.index))})

    @property
    def predictions(self) -> int:
        """The number of forward passes whose mean softmax is a trained network's prediction."""
        return AVERAGED if self.draws else 1

    @property
    def everywhere(self) -> bool:
        """Whether it stands at the activations on the way to its positions, and not at these alone."""
        return False

    def multiply_adds(self, place: Place, classes: int) -> int | None:
        """Return the multiply-adds that the module adds at ``place`` to a forward pass of one image; masks count as 0.

        None where they can only be counted by running the module.
        """
        return None


class Silent(Inserted):
    """Base of modules that make no prediction: an attacker can aim at the final prediction only."""

    beta: ClassVar[float] = 0.0


class AtActivations(Silent):
    """Base of modules that act on activations.

    ``positions``: as of every module. ``sites``: ``activations``: at the positions' own activations and at each on the way
    there from the position before; for ``all`` positions these are all activations of the network, the 17 of a ResNet-18.
    ``blocks``: behind the positions alone, which are ends of blocks.
    """

    positions: tuple[str, ...] = ("all",)
    sites: Literal["activations", "blocks"] = "activations"

    @property
    def everywhere(self) -> bool:
        return self.sites == "activations"

    def multiply_adds(self, place: Place, classes: int) -> int:
        return 0


class Predicting(Inserted):
    """Base of modules that predict. ``beta``, a field or a constant, is the ``beta_atk`` of the aim ``own``."""

    predicts = True


@MODULE.built_in
class NoModule(Silent):
    """No module: the plain network ("vanilla")."""

    views = ()
    positions: ClassVar[tuple[str, ...]] = ()

    name: Literal["none"] = "none"


@MODULE.built_in
class CAS(Predicting):
    """Channel-wise Activation Suppressing (Bai et al., ICLR 2021); see :mod:`trainables.modules.cas`.

    ``suppression``: whether the auxiliary heads' masks are applied; the paper's Table 2 does without.
    """

    implementation = "trainables.modules.cas:CASModule"

    name: Literal["cas"] = "cas"
    positions: tuple[str, ...] = ("block4",)
    beta: NonNegative = 2.0
    suppression: bool = True

    def multiply_adds(self, place: Place, classes: int) -> int:
        return place.channels * classes


@MODULE.built_in
class CIFS(Predicting):
    """Channel-wise Importance-based Feature Selection (Yan et al., ICML 2021); see :mod:`trainables.modules.cifs`.

    ``layers``: how many modules, ``|I|`` in the paper; where ``positions`` names fewer blocks, those before the first of them
    have one too, so that ``P1`` with 2 layers is ``P2`` and ``P1``. Null: as many as ``positions`` names.
    ``probes``: the kind of each position's probe, in the positions' order, a single one standing for all; ``mlp-linear``, the
    paper's, is linear in the last block of the network and an MLP in those before it.
    ``depth``: the number of hidden layers of each position's probe, if it is an MLP, a single one standing for all; 1 in the
    paper. Of a linear probe, which is an MLP without a hidden layer, it is 0.
    ``hidden``: the number of units in each hidden layer; 128 in the public code.
    ``imgf``: the function that makes a mask of the channels' relevance.
    ``top_k``: how many logits the channels' relevance is taken from, at most the number of classes.
    ``training_top``: which logits these are in training: ``distinct``, the label's and the highest others (section 3.2), or
    ``as-code``, the label's and the second to k-th highest, of which the label may be one and then counts twice.
    ``scale``: a factor on the loss of eq. 3, which divides by 1 + beta. It is 3 in the public code, so that with beta = 2 the
    final cross-entropy has weight 1, as it has without the module.
    """

    implementation = "trainables.modules.cifs:CIFSModule"
    numerics = 2

    name: Literal["cifs"] = "cifs"
    positions: tuple[str, ...] = ("P2", "P1")
    layers: Count | None = None
    probes: tuple[Literal["linear", "mlp", "mlp-linear"], ...] = ("mlp-linear",)
    depth: tuple[Annotated[int, Field(ge=0, le=3)], ...] = (1,)
    hidden: Count = HIDDEN
    top_k: Count = 2
    training_top: Literal["distinct", "as-code"] = "distinct"
    imgf: Annotated[Sigmoid | Softplus | Softmax, Field(discriminator="name")] = Softmax()
    beta: NonNegative = 2.0
    scale: Positive = 3.0

    def resolved(self, places: Sequence[str], every: Sequence[str]) -> Self:
        """Return the same module with the network's own names of its positions, and the depth of each one's probe.

        Raises:
            ValueError: fewer layers than positions, or more than there are blocks; or not one entry a position.
        """
        more, before = (self.layers or len(places)) - len(places), every[: min(map(every.index, places))]
        if not 0 <= more <= len(before):
            allowed = f"{len(places)} to {len(places) + len(before)}, with positions={list(self.positions)}"
            raise ValueError(f"layers = {self.layers}: allowed: {allowed}")
        places = [*before[len(before) - more :], *places]
        linear = {"linear"}, {"linear", "mlp-linear"}  # in every block but the last, and in the last
        probes = zip(places, _each("probes", self.probes, places), _each("depth", self.depth, places), strict=True)
        depths = {place: 0 if kind in linear[place == every[-1]] else depth for place, kind, depth in probes}
        places.sort(key=every.index)
        update = {
            "positions": tuple(places),
            "layers": len(places),
            "probes": tuple("mlp" if depths[place] else "linear" for place in places),
            "depth": tuple(depths[place] for place in places),
            # Units of no layer make no difference.
            "hidden": self.hidden if any(depths.values()) else HIDDEN,
        }
        return self.model_copy(update=update)

    def multiply_adds(self, place: Place, classes: int) -> int:
        depth = self.depth[self.positions.index(place.position)]
        if not depth:
            return place.channels * classes
        # The probe, and its slopes and relevance, each of which passes through the hidden layers once more.
        return 3 * self.hidden * (place.channels + (depth - 1) * self.hidden) + self.hidden * classes


def _each(field: str, given: tuple[T, ...], places: Sequence[str]) -> tuple[T, ...]:
    """Return one value for each place; a single one stands for all."""
    if len(given) not in {1, len(places)}:
        allowed = " or ".join(dict.fromkeys(["1", str(len(places))]))
        raise ValueError(f"{field} has {len(given)} entries for {len(places)} positions; allowed: {allowed}")
    return given * len(places) if len(given) == 1 else given


@MODULE.built_in
class FSR(Predicting):
    """Feature Separation and Recalibration (Kim et al., CVPR 2023); see :mod:`trainables.modules.fsr`.

    ``tau``: temperature of the mask. ``lambda_sep``, ``lambda_rec``: weights of the separation and the recalibration loss.
    ``separation_loss``: the loss of f- (supplement, Table S5). ``mask``: ``gumbel``, the soft mask, or ``binary``, the
    thresholded one without gradient (Table S6). ``separation``: how the mask is made (Table S7; ``none`` is "w/o Separation").
    ``tau`` and ``mask`` matter for the learned separation only.
    """

    implementation = "trainables.modules.fsr:FSRModule"
    views = ("soft", "train")
    #: FSR is trained against attacks on the final prediction alone.
    beta: ClassVar[float] = 0.0

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
        """Whether every forward pass samples a random mask."""
        return self.separation == "random"

    def multiply_adds(self, place: Place, classes: int) -> int:
        first, inner = (convolution(c, FSR_CHANNELS, 3, place.size) for c in (place.channels, FSR_CHANNELS))
        nets = 2 if self.separation == "learned" else 1
        return nets * (2 * first + inner) + 3 * place.channels * classes


@MODULE.built_in
class KWTA(AtActivations):
    """k-Winners-Take-All (Xiao et al., ICLR 2020); see :mod:`trainables.modules.kwta`.

    In CAS's Table 1 it is "in each activation layer"; its authors' ResNet for CIFAR-10 keeps the ReLU of the stem.

    ``ratio``: share of each example's activations that is kept; 0.2 in CAS's Table 1.
    """

    implementation = "trainables.modules.kwta:KWTAModule"
    numerics = 2

    name: Literal["kwta"] = "kwta"
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.2


@MODULE.built_in
class SAP(AtActivations):
    """Stochastic Activation Pruning (Dhillon et al., ICLR 2018); see :mod:`trainables.modules.sap`.

    ``ratio``: number of draws with replacement, as a multiple of the number of activations; the higher, the fewer are pruned.
    ``averaged``: number of forward passes whose mean softmax is the prediction, 100 in the authors' code.
    """

    implementation = "trainables.modules.sap:SAPModule"

    name: Literal["sap"] = "sap"
    ratio: Positive = 1.0
    averaged: Count = 100

    @property
    def draws(self) -> bool:
        """Always true: every forward pass samples which activations are pruned."""
        return True

    @property
    def predictions(self) -> int:
        return self.averaged


#: Type of fields that accept any registered module.
Module = Annotated[Inserted, OneOf(MODULE)]
