"""Canonical forms: attacks that act alike on a network become equal values."""

from trainables.config.attacks.base import AttackSpec, Differentiated, Scored
from trainables.config.module import Module


def heads(module: Module) -> list[str]:
    """Name the heads of a network with ``module``: ``final``, then ``1``, ``2``, ... for modules that predict."""
    predictions = len(module.positions) if module.predicts else 0
    return ["final", *(str(i) for i in range(1, predictions + 1))]


def canonical_attack(attack: AttackSpec, module: Module) -> AttackSpec | None:
    """Return ``attack`` as it acts on a network with ``module``: the form that is hashed.

    The aim ``own`` becomes the module's beta (CAS's eq. 5 is CIFS's eq. 3 with that beta, times 1 + beta: the same direction,
    so the same attack); without predicting modules every number becomes 0. A view that the module does not have becomes
    ``plain``. The inner attack of a transfer is left as it is, since it acts on its source.

    Returns:
        the canonical attack, or None where ``attack`` aims at a module that the network does not have.
    """
    update = {}
    if isinstance(attack, Differentiated) and attack.view not in ("plain", *module.views):
        update["view"] = "plain"
    if isinstance(attack, Scored):
        aim = attack.aim.canonical(len(heads(module)) - 1, module.beta)
        if aim is None:
            return None
        update["beta_atk"] = str(aim)
    return attack.model_copy(update=update) if update else attack
