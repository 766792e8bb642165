"""How long a plan takes, from its cost and the throughput of a device. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.cost.passes import evaluation_passes, measurement_passes, selection_passes, training_passes
from orchestrator.cost.throughput import Network, Throughput, evaluating, measuring, network, training
from orchestrator.planning.plan import Evaluation, Plan, PlannedTrial
from trainables.config import SWA, TrialConfig, is_prefix
from trainables.config.terms.passes import FORWARD

#: The work that stands for any other that was never timed: training in float32, the precision of evaluations.
_PLAIN = training("fp32")


@dataclass(frozen=True)
class Estimate:
    """Estimated device-hours of a plan; None if unknown. Trials share the device as they did when it was timed.

    ``train``: with the selection of the best checkpoint. ``device``: its kind. ``source``: where its throughput comes from.
    Loading data, starting processes and writing the record are not included.
    """

    train: float | None
    evaluate: float | None
    measure: float | None
    device: str | None
    source: str | None

    @property
    def total(self) -> float | None:
        """Hours of everything; None if any part is unknown."""
        return _sum((self.train, self.evaluate, self.measure))

    def as_json(self) -> dict[str, Any]:
        """Return the estimate as ``--json`` prints it."""
        hours = {"train": self.train, "evaluate": self.evaluate, "measure": self.measure, "total": self.total}
        return {"device_hours": hours, "device": self.device, "throughput_from": self.source}

    def __str__(self) -> str:
        if self.total is None:
            return "device-hours: unknown: no comparable training is in this storage; `plan --calibrate` times one here"
        parts = {"training": self.train, "evaluations": self.evaluate, "measurements": self.measure}
        shown = ", ".join(f"{name} {hours_text(hours)}" for name, hours in parts.items() if hours)
        # If nothing is left to do, no device is known either.
        where = f" on {self.device}" if self.device else ""
        how = f" ({shown}; from {self.source})" if shown else ""
        return f"about {hours_text(self.total)} device-hours{where}{how}"


def estimate(plan: Plan, throughput: Throughput) -> Estimate:
    """Estimate what a plan has left to do, at most: trainings may end early by their patience, and both checkpoints be one."""
    left = plan.to_run
    begun = {trial.key for trials in plan.prefixes.values() for trial in trials}
    source = throughput.source
    if source and not all(map(throughput.knows, {network(t.config): t.config for t in left}.values())):
        # Times of small networks, which are not all arithmetic, overestimate large ones.
        source += ", other networks by multiply-adds"
    return Estimate(
        _hours(_training(trial, throughput) for trial in left if trial.key not in begun),
        _hours(_evaluation(trial.config, e, throughput) for trial in left for e in to_be_run(trial)),
        _hours(
            _seconds(throughput, trial.config, measurement_passes(trial.config, m.measure), measuring(m.measure.name), _PLAIN)
            for trial in left
            for m in trial.unmeasured
        ),
        throughput.device,
        source,
    )


def to_be_run(trial: PlannedTrial) -> list[Evaluation]:
    """Return the missing evaluations of a trial that need a run of their own: those that are no beginning of a longer one."""
    missing = trial.missing
    if trial.config.module.draws:
        # With random predictions every evaluation needs a run of its own.
        return list(missing)

    def answered(e: Evaluation) -> bool:
        alike = (other for other in missing if (other.checkpoint, other.complete) == (e.checkpoint, e.complete))
        return any(is_prefix(e.attack, other.attack) for other in alike)

    return [e for e in missing if not answered(e)]


def commonest(plan: Plan) -> TrialConfig | None:
    """Return the configuration (with seed 0) that needs most passes, of the network that needs most passes in a plan.

    None if nothing is left to do.
    """
    networks: Counter[Network] = Counter()
    configs: dict[Network, Counter[TrialConfig]] = {}
    for trial in plan.to_run:
        its, passes = network(trial.config), round(max(1, _epochs_left(trial)) * training_passes(trial.config))
        networks[its] += passes
        configs.setdefault(its, Counter())[trial.config.model_copy(update={"seed": 0})] += passes
    return configs[networks.most_common(1)[0][0]].most_common(1)[0][0] if networks else None


def hours_text(hours: float) -> str:
    """Format hours with two significant digits, or as a whole number from 10 on."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _epochs_left(trial: PlannedTrial) -> int:
    """Return how many epochs a trial still has to train."""
    return 0 if trial.trained else trial.config.training.epochs - trial.recorded.epochs


def _training(trial: PlannedTrial, throughput: Throughput) -> float | None:
    """Estimate the seconds that a trial still has to train."""
    config, epochs = trial.config, _epochs_left(trial)
    if not epochs:
        return 0.0
    name, averaging = config.selection.attack.name, config.training.averaging
    learn = _seconds(throughput, config, training_passes(config), training(config.training.precision))
    select = _seconds(throughput, config, selection_passes(config), evaluating(name), _PLAIN)
    seconds = _sum((learn, select))
    if seconds is None:
        return None
    average = 0.0
    if isinstance(averaging, SWA):
        # Averaged weights need new batch statistics: a forward pass of every training image.
        images = min(config.data.info.train, config.data.examples or config.data.info.train)
        again = _seconds(throughput, config, FORWARD * images, evaluating("natural"), _PLAIN) or 0.0
        average = again * (config.training.epochs - max(averaging.start - 1, trial.recorded.epochs))
    return epochs * seconds + average


def _evaluation(config: TrialConfig, e: Evaluation, throughput: Throughput) -> float | None:
    """Estimate the seconds of an evaluation."""
    works = (evaluating(e.attack.name, e.complete), _PLAIN)
    return _seconds(throughput, config, evaluation_passes(config, e.attack), *works)


def _seconds(throughput: Throughput, config: TrialConfig, passes: float, *works: str) -> float | None:
    """Estimate the seconds of passes, by the first of these works that is known."""
    a_pass = throughput.seconds(config, *works)
    return None if a_pass is None else passes * a_pass


def _hours(seconds: Iterable[float | None]) -> float | None:
    """Add up seconds to hours; None if any is unknown."""
    total = _sum(seconds)
    return None if total is None else total / 3600


def _sum(parts: Iterable[float | None]) -> float | None:
    """Add up parts; None if any is unknown."""
    total = 0.0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
