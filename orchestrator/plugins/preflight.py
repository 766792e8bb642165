"""A plan's registered parts, tried before a cluster is started."""

from orchestrator.errors import BadInput
from orchestrator.planning.plan import Plan
from trainables.config import Transfer, registry
from trainables.config.registry import BadPart, Part


def rehearse(plan: Plan) -> None:
    """Each part of one's own in the first trial that has it and has something left to do.

    Raises:
        BadInput: it does not do what its kind promises.
    """
    if not registry.every():  # and no torch
        return
    from trainables.plugins.preflight import rehearse as try_out

    tried: set[Part] = set()
    for trial in plan.to_run:
        wanted = [trial.config.selection.attack, *(e.attack for e in trial.missing)]
        attacks = (attack.attack if isinstance(attack, Transfer) else attack for attack in wanted)
        if trial.parts - tried:
            try:
                try_out(trial.config, [attack for attack in dict.fromkeys(attacks) if {*registry.used(attack)} - tried])
            except BadPart as error:
                raise BadInput(str(error)) from error
            tried |= trial.parts
