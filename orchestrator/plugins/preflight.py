"""The preflight of a plan: every plugin is run on one batch before a cluster is started."""

from orchestrator.errors import BadInput
from orchestrator.planning.plan import Plan
from trainables.config import Transfer
from trainables.config.terms.registry import BadPlugin, Entry, plugins, used_plugins


def preflight(plan: Plan) -> None:
    """Run a batch of noise through each plugin, in the first trial that has it and has something left to do.

    Raises:
        BadInput: a plugin breaks the contract of its kind.
    """
    if not plugins():  # so that torch is not imported
        return
    from trainables.plugins.preflight import preflight as run

    tried: set[Entry] = set()
    for trial in plan.to_run:
        wanted = [trial.config.selection.attack, *(e.attack for e in trial.missing)]
        attacks = (attack.attack if isinstance(attack, Transfer) else attack for attack in wanted)
        if trial.plugins - tried:
            try:
                run(trial.config, [attack for attack in dict.fromkeys(attacks) if used_plugins(attack) - tried])
            except BadPlugin as error:
                raise BadInput(str(error)) from error
            tried |= trial.plugins
