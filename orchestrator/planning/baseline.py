"""Attacks that are transferred from a study's first row, its baseline."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.planning.plan import Evaluation, Plan
from orchestrator.planning.settings import configure_attack, resolve
from search_spaces.settings import Settings
from search_spaces.study import Study


def from_baseline(made: Plan, studies: Sequence[Study], attack: Settings, checkpoint: str) -> Plan:
    """Add an attack to a plan, transferred from the first row of each study to every other row at the same seed.

    Trials get none whose baseline is not trained or has another data set.

    Args:
        made: the plan of ``studies``.
        studies: in the order of the plan's manifests.
        attack: fields of the attack that is transferred.
        checkpoint: ``last`` or ``best``, of both trials.
    """
    trials = {trial.key: trial for trial in made.trials}
    more: dict[str, dict[str, Evaluation]] = {}
    for study, manifest in zip(studies, made.manifests, strict=True):
        fields = resolve(attack, study.profiles[manifest.profile].eps)
        baseline, *others = manifest.arms
        for seed, key in ((seed, key) for arm in others for seed, key in arm.trials.items()):
            source, target = trials[baseline.trials[seed]], trials[key]
            if source.key == key or not source.trained or source.config.data.dataset != target.config.data.dataset:
                continue
            spec = configure_attack({"name": "transfer", "source": source.key, "checkpoint": checkpoint, "attack": fields})
            label = f"{fields['name']} from {' '.join(baseline.labels) or study.title}"
            evaluation = Evaluation.of(key, spec, checkpoint, label)
            more.setdefault(key, {})[evaluation.key] = evaluation
    added = (replace(t, evaluations=(*t.evaluations, *more.get(t.key, {}).values())) for t in made.trials)
    return replace(made, trials=tuple(added))
