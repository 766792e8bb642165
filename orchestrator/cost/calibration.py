"""Throughput without a record: a few batches are trained in this process, on this machine's device."""

from math import ceil

from orchestrator.cost.passes import training_passes
from orchestrator.cost.throughput import Throughput, Timing, network, training
from orchestrator.errors import Unavailable
from trainables.config import Natural, Runtime, Selection, TrialConfig

#: Batches that are timed, after as many that are not: kernels are chosen in the first ones.
BATCHES = 4


def calibrate(config: TrialConfig, runtime: Runtime) -> Throughput:
    """Time a configuration's training, and the same in float32, the precision of evaluations.

    Raises:
        Unavailable: the data set is not there.
    """
    found = []
    for precision in dict.fromkeys((config.training.precision, "fp32")):
        device, seconds = _train(_short(config, precision), runtime)
        found.append(Timing(device, training(precision), network(config), seconds))
    return Throughput(device, f"calibration on {device}", tuple(found))


def _short(config: TrialConfig, precision: str) -> TrialConfig:
    """Return the configuration with few images, the cheapest selection and without averaging."""
    images = ceil(BATCHES * config.training.batch_size / (1 - config.data.validation))
    data = config.data.model_copy(update={"examples": min(images, config.data.examples or images)})
    selection = Selection(split=config.selection.split, attack=Natural())
    learning = config.training.model_copy(update={"precision": precision, "averaging": None, "patience": None})
    return config.model_copy(update={"data": data, "selection": selection, "training": learning})


def _train(config: TrialConfig, runtime: Runtime) -> tuple[str, float]:
    """Train two epochs; return the device's kind, and the second one's seconds per pass."""
    from trainables.data import DataNotFound
    from trainables.trial import Trial

    try:
        trial = Trial(config, runtime)
    except DataNotFound as error:
        raise Unavailable(f"--calibrate trains on {config.data.dataset}: {error}") from error
    trial.step()
    return trial.device_name, trial.step()["seconds"] / training_passes(config)
