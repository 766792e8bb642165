"""Measures of trained networks that the papers plot or tabulate, and checks of their gradients, one measure a file.

A measure is a function ``(spec, subject)`` that returns named arrays. Read ``subject`` first.
"""

from trainables import config
from trainables.attacks.building_blocks.gradient import frozen
from trainables.config.terms.registry import MEASURE
from trainables.measures.accuracy import class_accuracy, top_k_accuracy
from trainables.measures.subject import Array, Subject
from trainables.rng import generator

__all__ = ["Array", "Subject", "class_accuracy", "run_measure", "top_k_accuracy"]


def run_measure(spec: config.Measure, subject: Subject) -> dict[str, Array]:
    """Compute a measure in evaluation mode; the network and the global generators are left unchanged.

    Args:
        spec: the measure in its canonical form (:func:`trainables.config.canonical_measure`).
        subject: the network and the test set.

    Returns:
        arrays by name; the function of each measure documents their shapes.
    """
    network = subject.network
    # Separate from the attacks' generators, so that an attack's random numbers do not depend on other forward passes.
    before = network.draw_from(generator(subject.seed, config.measurement_stream(spec), subject.examples.device))
    try:
        with frozen(network):
            found: dict[str, Array] = MEASURE.load(spec.name)(spec, subject)
            return found
    finally:
        network.draw_from(before)
