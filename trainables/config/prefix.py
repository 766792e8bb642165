"""Trainings of which one is the beginning of another."""

from trainables.config.identity import trial_key
from trainables.config.registry import used
from trainables.config.training import MultiStep
from trainables.config.trial import TrialConfig


def course(config: TrialConfig) -> str | None:
    """What a training has in common with those that pass through it, or that it passes through; None where there are none.

    Of one course the longer training has, after as many epochs, the weights of the shorter one: they differ in epochs alone,
    and nothing in an epoch is a matter of how many there will be. A cosine or a cycle is stretched over all of them, patience
    may end the longer one before, and what a part of one's own looks at is not known.
    """
    training = config.training
    if not isinstance(training.schedule, MultiStep) or training.patience is not None or any(used(config)):
        return None
    return trial_key(config.model_copy(update={"training": training.model_copy(update={"epochs": 0})}))
