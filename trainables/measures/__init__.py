"""What the papers plot or tabulate of a trained network, and whether to believe it, one measure a file.

A measure is a function ``(spec, subject)`` to named arrays. Read ``subject`` first.
"""

from trainables import config
from trainables.attacks.building_blocks.gradient import frozen
from trainables.config.terms.registry import MEASURE
from trainables.measures.accuracy import class_accuracy, top_k_accuracy
from trainables.measures.subject import Array, Subject
from trainables.rng import generator

__all__ = ["Array", "Subject", "class_accuracy", "run_measure", "top_k_accuracy"]


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
    before = network.draw_from(generator(subject.seed, config.measurement_stream(spec), subject.examples.device))
    try:
        with frozen(network):
            found: dict[str, Array] = MEASURE.load(spec.name)(spec, subject)
            return found
    finally:
        network.draw_from(before)
