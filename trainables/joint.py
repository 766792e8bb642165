"""Losses over several predictions: which head of the network counts how much."""

from collections.abc import Callable
from math import isinf

from torch import Tensor

from trainables import config
from trainables.config.terms.registry import MODULE
from trainables.outputs import Outputs, heads

#: One weight for the final prediction and one for each inserted module's, in forward order.
Weights = tuple[float, ...]


def training_weights(module: config.Module) -> Weights:
    """The heads' weights in the loss that a network with ``module`` is trained with: each method's own equation."""
    if isinstance(module, config.NoModule):
        return (1.0,)
    weights: Weights = MODULE.load(module.name).head_weights(module)
    return weights


def attack_weights(aim: config.Aim | None, module: config.Module) -> Weights:
    """The heads' weights in the loss that an adaptive attacker maximises (CIFS, section 4.1).

    ``aim``: a number b weighs as eq. 3 of CIFS does with beta = b; ``inf`` aims at all modules alike, ``inf-2`` at the
    second alone; ``own``, or None, is the training loss. Without modules there is the final prediction only.

    Raises:
        ValueError: ``aim`` is at a module that is not there.
    """
    S = len(config.heads(module)) - 1
    if aim is None or aim.beta is None:
        return training_weights(module)
    if isinf(aim.beta):
        aims = {aim.module} if aim.module else set(range(1, S + 1))
        if not aims or max(aims) > S:
            raise ValueError(f"beta_atk={aim} aims at a module that is not there: the network has {S}")
        return (0.0, *(float(s in aims) / len(aims) for s in range(1, S + 1)))
    if S == 0:
        return (1.0,)
    b = aim.beta
    return (1 / (1 + b), *(b / ((1 + b) * S) for _ in range(S)))


def final_only(weights: Weights) -> Weights:
    """All weight on the final prediction, of as many heads."""
    return (1.0, *(0.0 for _ in weights[1:]))


def joint(weights: Weights, term: Callable[..., Tensor], *outputs: Outputs) -> Tensor:
    """The weighted sum, (B,), of ``term`` over the heads; ``term`` maps a head's logits (B, classes) of each outputs to (B,).

    Several outputs are of the same network on several images: natural and adversarial ones.
    A head of weight 0 is left out altogether: it gets no gradient, so a zero coefficient is bit for bit the loss without it.

    Raises:
        ValueError: not one weight for each head, or no weight above 0.
    """
    predictions = list(zip(*map(heads, outputs), strict=True))
    if len(weights) != len(predictions) or not any(weights):
        raise ValueError(f"a joint loss over {len(predictions)} heads cannot have the weights {weights}")
    terms = [w * term(*logits) for w, logits in zip(weights, predictions, strict=True) if w != 0]
    total = terms[0]
    for other in terms[1:]:
        total = total + other
    return total
