"""Any attack of an evaluation, by its specification."""

from types import MappingProxyType

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.surrogate import Surrogate
from trainables.attacks.case import Case, Sources
from trainables.config.terms.registry import ATTACK
from trainables.joint import Weights


def run_attack(
    spec: config.AttackSpec,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    weights: Weights,
    generator: Generator,
    sources: Sources = MappingProxyType({}),
    *,
    complete: bool = True,
) -> Attacked:
    """Adversarial images and what is known of them; the network, its gradients and the global generators stay as they were.

    Args:
        spec: which attack, and its settings.
        network: called without labels, in evaluation mode. An attack with a ``view`` differentiates that, and is judged by
            the network itself.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        weights: of the heads, from :func:`trainables.joint.attack_weights`.
        generator: the only source of chance, on x's device.
        sources: the networks that a transferred attack may come from.
        complete: whether every example is attacked to the end, so that images are the attack's own end points. If not, one
            is attacked until it is broken (see :mod:`trainables.config.attacks`), and its image is what broke it; which ones
            are, and since when, is the same.

    Raises:
        ValueError: a transferred attack's source is not among ``sources``.
    """
    view: config.View = getattr(spec, "view", "plain")
    model = network if view == "plain" else Surrogate(network, view)
    found: Tensor | Attacked = ATTACK.load(spec.name)(spec, Case(network, model, x, y, weights, generator, sources, complete))
    return found if isinstance(found, Attacked) else Attacked(found)
