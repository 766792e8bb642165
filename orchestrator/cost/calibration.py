"""Throughput where nothing was recorded: a few batches, trained in this process on this machine's device."""

from math import ceil

from orchestrator.cost.passes import training_passes
from orchestrator.cost.throughput import Throughput, Timed, network, training
from orchestrator.errors import Unavailable
from trainables.config import Natural, Runtime, Selection, TrialConfig

#: Batches that are timed, after as many that are not: the first ones also choose kernels.
BATCHES = 4


def calibrate(config: TrialConfig, runtime: Runtime) -> Throughput:
    """Seconds a pass of a configuration's training, and of the same in float32, which evaluations are in.

    Raises:
        Unavailable: its data set is not there.
    """
    found = []
    for precision in dict.fromkeys((config.training.precision, "fp32")):
        device, seconds = _train(_short(config, precision), runtime)
        found.append(Timed(device, training(precision), network(config), seconds))
    return Throughput(device, f"calibration on {device}", tuple(found))


def _short(config: TrialConfig, precision: str) -> TrialConfig:
    """The configuration with few images and the cheapest selection."""
    images = ceil(BATCHES * config.training.batch_size / (1 - config.data.validation))
    data = config.data.model_copy(update={"examples": min(images, config.data.examples or images)})
    selection = Selection(split=config.selection.split, attack=Natural())
    learning = config.training.model_copy(update={"precision": precision, "averaging": None, "patience": None})
    return config.model_copy(update={"data": data, "selection": selection, "training": learning})


def _train(config: TrialConfig, runtime: Runtime) -> tuple[str, float]:
    """The device's kind, and the seconds a pass of the second of two epochs."""
    from trainables.data import DataNotFound
    from trainables.trial import Trial

    try:
        trial = Trial(config, runtime)
    except DataNotFound as error:
        raise Unavailable(f"--calibrate trains on {config.data.dataset}: {error}") from error
    trial.step()
    return trial.device_name, trial.step()["seconds"] / training_passes(config)
