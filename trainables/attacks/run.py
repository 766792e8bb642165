"""Running any attack of an evaluation from its specification."""

from types import MappingProxyType

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.surrogate import Surrogate
from trainables.attacks.case import Case, SourceNetworks
from trainables.config.terms.registry import ATTACK
from trainables.joint import Weights


def run_attack(
    spec: config.AttackSpec,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    weights: Weights,
    generator: Generator,
    sources: SourceNetworks = MappingProxyType({}),
    *,
    complete: bool = True,
) -> Attacked:
    """Attack a batch; the network, its gradients and the global generators are left unchanged.

    Args:
        spec: which attack, and its settings.
        network: called without labels, in evaluation mode. An attack with a ``view`` differentiates the view, while the network
            itself decides what is misclassified.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        weights: weights of the heads, from :func:`trainables.joint.attack_weights`.
        generator: the only source of random numbers, on x's device.
        sources: networks that a transfer attack may use.
        complete: whether every example is attacked to the end, so that images are the attack's end points. If not, an example
            is attacked until it is broken (see :mod:`trainables.config.attacks`), and its image is the one that broke it; which
            examples are broken, and after how many steps, is the same.

    Raises:
        ValueError: the source of a transfer attack is not in ``sources``.
    """
    view: config.View = getattr(spec, "view", "plain")
    model = network if view == "plain" else Surrogate(network, view)
    found: Tensor | Attacked = ATTACK.load(spec.name)(spec, Case(network, model, x, y, weights, generator, sources, complete))
    return found if isinstance(found, Attacked) else Attacked(found)
