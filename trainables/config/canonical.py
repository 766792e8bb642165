"""The forms that make equal things equal: attacks as they act on a network."""

from trainables.config.attacks.base import AttackSpec, Differentiated, Scored
from trainables.config.module import Module


def heads(module: Module) -> list[str]:
    """Names of the network's outputs: ``final``, then ``1``, ``2``, ... for the modules that predict, in forward order."""
    predictions = len(module.positions) if module.predicts else 0
    return ["final", *(str(i) for i in range(1, predictions + 1))]


def canonical_attack(attack: AttackSpec, module: Module) -> AttackSpec | None:
    """``attack`` as it acts on a network with ``module``: the form that is hashed, so that equal attacks are equal.

    ``own`` becomes the module's beta (CAS's eq. 5 is the CIFS eq. 3 of that beta times 1 + beta: the same direction, so the
    same attack); without predicting modules every number is 0. A view that the module has no other face for is ``plain``.
    A transferred attack is what it is on its source. None where ``attack`` aims at a module that is not there.
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
