"""Trainings that are prefixes of others: the beginning of a longer one."""

from trainables.config.identity import trial_key
from trainables.config.registry import used_plugins
from trainables.config.training import MultiStep
from trainables.config.trial import TrialConfig


def prefix_family(config: TrialConfig) -> str | None:
    """What a training has in common with its prefixes, and with those that it is a prefix of; None where there are none.

    Of one family the longer training has, after as many epochs, the weights of the shorter one: they differ in epochs alone,
    and nothing in an epoch depends on how many there will be. A cosine or a cycle is stretched over all of them, patience may
    end the longer one before, and what a plugin looks at is not known.
    """
    training = config.training
    if not isinstance(training.schedule, MultiStep) or training.patience is not None or used_plugins(config):
        return None
    return trial_key(config.model_copy(update={"training": training.model_copy(update={"epochs": 0})}))
