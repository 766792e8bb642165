"""Learning rate schedules."""

from math import cos, pi, prod

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from trainables import config


def make_schedule(training: config.Training, optimizer: Optimizer, steps_per_epoch: int) -> LambdaLR:
    """Return the schedule of ``optimizer``; call its ``step()`` after each of the ``steps_per_epoch`` batches of an epoch."""
    return LambdaLR(optimizer, lambda step: factor(training, step, steps_per_epoch))


def factor(training: config.Training, step: int, steps_per_epoch: int) -> float:
    """Return the factor by which ``training.lr`` is multiplied in batch ``step`` of the training, counted from 0."""
    schedule = training.schedule
    epoch = step // steps_per_epoch  # finished epochs: a milestone at 75 comes after 74
    match schedule:
        case config.MultiStep():
            factors = schedule.gamma * (len(schedule.milestones) if len(schedule.gamma) == 1 else 1)
            return prod(g for milestone, g in zip(schedule.milestones, factors, strict=True) if epoch >= milestone - 1)
        case config.Cosine():
            return (1 + cos(pi * min(epoch / training.epochs, 1))) / 2
        case config.OneCycle():
            # Taken at the middle of the batch, so that neither the first nor the last batch has a rate of 0.
            done = (step + 0.5) / (training.epochs * steps_per_epoch)
            return max(0.0, min(done / schedule.peak, (1 - done) / (1 - schedule.peak)))
