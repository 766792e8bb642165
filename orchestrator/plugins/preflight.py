"""The preflight of a plan: every plugin is run on one batch, and every network is checked for the layout of its memory."""

from orchestrator.errors import BadInput
from orchestrator.planning.plan import Plan
from trainables.config import Runtime, Transfer
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


def check_layouts(plan: Plan, runtime: Runtime, device: str) -> None:
    """Refuse networks that cannot be trained in the layout that was asked for; ``device``: what ``auto`` is.

    Raises:
        BadInput: a training would write outside its memory.
    """
    device = device if runtime.device == "auto" else runtime.device.partition(":")[0]
    if runtime.layout != "channels-last" or device != "cpu":  # and no network is built for nothing
        return
    from trainables.models import build_model
    from trainables.models.layout import UnsafeLayout, check_layout

    specs = [trial.config for trial in plan.to_run]
    for config in {(c.model, c.module, c.data.dataset, c.training.precision): c for c in specs}.values():
        try:
            check_layout(build_model(config.model, config.module, config.data.info, seed=0), config, runtime, device)
        except UnsafeLayout as error:
            raise BadInput(str(error)) from error
