"""Joint losses over a network's heads, and the heads' weights in them."""

from collections.abc import Callable
from math import isinf

from torch import Tensor

from trainables import config
from trainables.config.terms.registry import MODULE
from trainables.outputs import Outputs, heads

#: One weight for the final prediction and one for each inserted module's, in forward order.
Weights = tuple[float, ...]


def training_weights(module: config.Module) -> Weights:
    """Return the heads' weights in the training loss of a network with ``module``, from the equation of its paper."""
    if isinstance(module, config.NoModule):
        return (1.0,)
    weights: Weights = MODULE.load(module.name).head_weights(module)
    return weights


def attack_weights(aim: config.Aim | None, module: config.Module) -> Weights:
    """Return the heads' weights in the loss that an adaptive attacker maximises (CIFS, section 4.1).

    ``aim``: a number b gives the weights of CIFS's eq. 3 with beta = b; ``inf`` weighs all modules equally, ``inf-2`` the
    second module alone; ``own`` or None gives the weights of the training loss. A network without predicting modules has the
    final prediction only.

    Raises:
        ValueError: ``aim`` names a module that the network does not have.
    """
    S = len(config.heads(module)) - 1
    if aim is None or aim.beta is None:
        return training_weights(module)
    if isinf(aim.beta):
        aims = {aim.module} if aim.module else set(range(1, S + 1))
        if not aims or max(aims) > S:
            raise ValueError(f"beta_atk={aim} aims at a module that the network does not have: it has {S}")
        return (0.0, *(float(s in aims) / len(aims) for s in range(1, S + 1)))
    if S == 0:
        return (1.0,)
    b = aim.beta
    return (1 / (1 + b), *(b / ((1 + b) * S) for _ in range(S)))


def final_only(weights: Weights) -> Weights:
    """Return weights of the same length with all weight on the final prediction."""
    return (1.0, *(0.0 for _ in weights[1:]))


def joint(weights: Weights, term: Callable[..., Tensor], *outputs: Outputs) -> Tensor:
    """Return the weighted sum (B,) of ``term`` over the heads.

    ``outputs``: of one network on one or more batches, such as natural and adversarial images. ``term``: takes the logits
    (B, classes) of a head in each of them and returns (B,). A head of weight 0 is skipped and gets no gradient, so a
    coefficient of 0 gives bit for bit the loss without that head.

    Raises:
        ValueError: the number of weights is not the number of heads, or no weight is above 0.
    """
    predictions = list(zip(*map(heads, outputs), strict=True))
    if len(weights) != len(predictions) or not any(weights):
        raise ValueError(f"a joint loss over {len(predictions)} heads cannot have the weights {weights}")
    terms = [w * term(*logits) for w, logits in zip(weights, predictions, strict=True) if w != 0]
    total = terms[0]
    for other in terms[1:]:
        total = total + other
    return total
