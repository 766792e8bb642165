"""PGD as a training attack (Madry et al., ICLR 2018; TRADES: Zhang et al., ICML 2019)."""

from trainables import config
from trainables.attacks.training.batch import Adversarial, Batch


def attack(spec: config.TrainingPGD, b: Batch) -> Adversarial:
    """Run PGD with the settings of the specification.

    A ``gaussian`` start may leave [0, 1] until the first step, as in the public codes of TRADES and MART.
    """
    return b.ascend(
        b.objective(spec.loss, spec.bn),
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        start=spec.start,
        outside=spec.start == "gaussian",
        norm=spec.norm,
        bn=spec.bn,
    )
