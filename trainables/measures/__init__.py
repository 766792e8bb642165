"""What the papers plot or tabulate of a trained network, and whether to believe it, by the names in ``config.Measure``."""

from collections.abc import Callable
from typing import Any

from trainables import config
from trainables.attacks.building_blocks.gradient import frozen
from trainables.measures.accuracy import class_accuracy, top_k_accuracy
from trainables.measures.activations import activations
from trainables.measures.class_gradients import class_gradients
from trainables.measures.dimensions import dimensions
from trainables.measures.perturbations import perturbations
from trainables.measures.sensitivity import sensitivity
from trainables.measures.soundness import soundness
from trainables.measures.subject import Array, Subject
from trainables.measures.tsne import tsne
from trainables.rng import generator

__all__ = ["MEASURES", "Array", "Subject", "class_accuracy", "run_measure", "top_k_accuracy"]

#: ``(spec, subject) -> arrays`` for each name.
MEASURES: dict[str, Callable[[Any, Subject], dict[str, Array]]] = {
    "activations": activations,
    "sensitivity": sensitivity,
    "class-gradients": class_gradients,
    "dimensions": dimensions,
    "perturbations": perturbations,
    "t-sne": tsne,
    "soundness": soundness,
}


def run_measure(spec: config.Measure, subject: Subject) -> dict[str, Array]:
    """Named arrays; each measure's own docstring has their shapes.

    The network is looked at in evaluation mode, without gradients of its parameters, and left as it was; the global generators
    are neither read nor changed.

    Args:
        spec: which measure, and its settings, in its canonical form (:func:`trainables.config.canonical_measure`).
        subject: the network, and the test set.
    """
    network = subject.network
    # Not what attacks draw from: they draw the same whatever else the network is asked meanwhile.
    before = network.draw_from(generator(subject.seed, f"measure/{config.measure_key(spec)}", subject.examples.device))
    try:
        with frozen(network):
            return MEASURES[spec.name](spec, subject)
    finally:
        network.draw_from(before)
