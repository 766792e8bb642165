"""The results of a search: its best configurations, its Pareto front, and the importance of each factor."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import ge
from statistics import fmean
from typing import Any, Literal

import optuna
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.record.manifest import Manifest
from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from orchestrator.search.goals import Goal
from orchestrator.search.loop import LABEL, REPEATS, Search
from orchestrator.search.space import Parameters, SearchSpace
from orchestrator.tracking.optuna_study import REASON, TRIAL_KEY
from search_spaces.factor import SEED, Level, choice
from search_spaces.profiles import NATURAL
from search_spaces.study import Study

#: The reference of a search's study, where a paper's names its table.
SEARCH = "a search"

#: Importances are not computed from fewer results than this.
MIN_RESULTS = 4

#: The user attribute of Optuna's study that holds a search's definition, so that another search of its name is refused.
_DEFINITION = "advsweep.definition"


@dataclass(frozen=True)
class Finding:
    """A finished configuration of a search.

    ``trial``: its trial's key, of the first of its seeds. ``label``: its name for people. ``parameters``: what was sampled, but
    for the seed. ``values``: its accuracies on the validation images, in percent, by the goals' labels: means over its seeds.
    ``feasible``: whether these keep every constraint. ``seeds``: how many of its seeds were trained; more than one only in a
    search that draws seeds.
    """

    trial: str
    label: str
    parameters: Mapping[str, Any]
    values: Mapping[str, float]
    feasible: bool
    seeds: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return the finding as ``--json`` prints it."""
        # "drawn" is the name that programs read.
        return {
            "trial": self.trial,
            "label": self.label,
            "drawn": dict(self.parameters),
            "values": dict(self.values),
            "feasible": self.feasible,
            "seeds": self.seeds,
        }


def define(
    study: OptunaStudy, space: SearchSpace, goals: Sequence[Goal], checkpoint: str, overrides: Mapping[str, Any]
) -> None:
    """Write the definition of a search into Optuna's study, or check that it is the one that is there.

    Raises:
        BadInput: the study belongs to another search, or to none.
    """
    definition = {
        "space": space.base.name,
        "profile": space.profile.name,
        "factors": {factor.name: str(factor.distribution) for factor in space.factors},
        "goals": {goal.label: goal.bound for goal in goals},
        "checkpoint": checkpoint,
        "overrides": dict(overrides),
    }
    before = study.user_attrs.get(_DEFINITION)
    if before is None:
        if study.get_trials(deepcopy=False):
            raise BadInput(f"--name {study.study_name!r}: Optuna has a study of that name that is no search; choose another")
        study.set_user_attr(_DEFINITION, json.dumps(definition))
        return
    known = json.loads(before)
    for part, value in json.loads(json.dumps(definition)).items():
        if known.get(part) != value:
            raise BadInput(
                f"--name {study.study_name!r}: that search has {part} {known.get(part)}, and not {value}; choose another name"
            )


def findings(search: Search) -> list[Finding]:
    """Return every finished configuration: feasible ones first, then the Pareto front, then by the objectives' values."""
    trials = search.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    repetitions: dict[str, list[FrozenTrial]] = {}
    for trial in trials:
        if REPEATS not in trial.user_attrs:
            repetitions.setdefault(json.dumps(_configuration(trial.params), sort_keys=True), []).append(trial)
    found = [_finding(search, seeds) for seeds in repetitions.values()]
    best = {finding.trial for finding in _front(search, found)} if len(search.objectives) > 1 else set()
    labels = [goal.label for goal in search.objectives]
    return sorted(found, key=lambda f: (not f.feasible, f.trial not in best, [-f.values[label] for label in labels]))


def chosen(search: Search) -> list[Finding]:
    """Return candidates for finalists, the best first: feasible findings, or the Pareto front of several objectives."""
    return front(search) if len(search.objectives) > 1 else [finding for finding in findings(search) if finding.feasible]


def front(search: Search) -> list[Finding]:
    """Return the Pareto front: the feasible findings that no other one dominates."""
    return _front(search, findings(search))


def _front(search: Search, found: Sequence[Finding]) -> list[Finding]:
    """Return those of the findings that are on the front."""
    values = {f.trial: [f.values[goal.label] for goal in search.objectives] for f in found if f.feasible}

    def dominated(mine: list[float]) -> bool:
        return any(all(map(ge, other, mine)) and other != mine for other in values.values())

    return [f for f in found if f.trial in values and not dominated(values[f.trial])]


def importances(search: Search) -> dict[str, dict[str, float]]:
    """Estimate how much each factor matters for being among the best: shares by objective and factor, by PED-ANOVA.

    Only unconditional factors are compared, and configurations by their means over the seeds that were drawn. Empty if there
    are too few results, or if all are equal.
    """
    results = findings(search)
    if len(results) < MIN_RESULTS:
        return {}
    means = optuna.create_study(directions=search.study.directions)
    of = {factor.name: factor.distribution for factor in search.space.factors}
    for f in results:
        values = [f.values[goal.label] for goal in search.objectives]
        means.add_trial(create_trial(params=dict(f.parameters), distributions={n: of[n] for n in f.parameters}, values=values))
    found: dict[str, dict[str, float]] = {}
    for i, goal in enumerate(search.objectives):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the evaluator is experimental, and warns that it explains low values
            shares = optuna.importance.get_param_importances(means, target=partial(_shortfall, i))
        if shares:
            found[goal.label] = dict(shares)
    return found


def unfinished(search: Search) -> dict[str, str]:
    """Return why configurations have no value, by their labels: early-stopped, failed or invalid."""
    trials = search.study.get_trials(deepcopy=False)
    return {t.user_attrs[LABEL]: t.user_attrs[REASON] for t in trials if REASON in t.user_attrs and LABEL in t.user_attrs}


def sampled_labels(search: Search) -> dict[str, str]:
    """Return the label of every trial that the search has sampled so far, by the trial's key."""
    trials = search.study.get_trials(deepcopy=False)
    return {t.user_attrs[TRIAL_KEY]: t.user_attrs[LABEL] for t in trials if TRIAL_KEY in t.user_attrs and LABEL in t.user_attrs}


def finalists(search: Search, best: Sequence[Finding]) -> Study:
    """Make a study whose rows are these findings, to be trained for all seeds and attacked on the test set."""
    return as_study(search.study.study_name, search.space, [f.parameters for f in best], search.goals, search.checkpoint)


def as_study(
    name: str, space: SearchSpace, rows: Sequence[Parameters], goals: Sequence[Goal], checkpoint: Literal["best", "last"]
) -> Study:
    """Make a study with a row for each of these parameters (for none, one of defaults) and columns: natural and the goals.

    A seed among the parameters is left out: rows have the seeds of the profile.
    """
    rows = [_configuration(row) for row in rows]
    labels = [space.label(row) for row in rows]
    # Numbers that differ only in digits that are not printed have the same label.
    unique = [label if labels.count(label) == 1 else f"{label} ({i})" for i, label in enumerate(labels, 1)]
    levels = tuple(Level(label, space.settings(row)) for label, row in zip(unique, rows, strict=True))
    how = "; compared on images held out from the training set, and trained here on all of it" if space.holds_out else ""
    return Study(
        name=name,
        aliases=(),
        reference=SEARCH,
        title=f"Search over {', '.join(factor.symbol for factor in space.factors)}{how}",
        factors=(choice("configuration", "configuration", levels, default=levels[0].label),) if levels else (),
        columns=tuple({column.label: column for column in (NATURAL, *(goal.column for goal in goals))}.values()),
        profiles=space.base.profiles,
        fixed=space.base.fixed,
        checkpoint=checkpoint,
    )


def manifest(search: Search, profile: str, seeds: int | None, overrides: Mapping[str, Any]) -> Manifest:
    """Describe a running search for the storage: a manifest without rows, and the trials that it has sampled."""
    made = plan([finalists(search, ())], profile, seeds=seeds, overrides=overrides).manifests[0]
    return replace(made, arms=(), beside=sampled_labels(search))


def as_json(search: Search) -> dict[str, Any]:
    """Return all results as JSON."""
    return {
        "objectives": [goal.label for goal in search.objectives],
        "constraints": {goal.label: goal.bound for goal in search.goals if goal.bound is not None},
        "findings": [finding.as_json() for finding in findings(search)],
        "front": [finding.trial for finding in front(search)],
        "importances": importances(search),
        "unfinished": unfinished(search),
    }


def _shortfall(i: int, trial: FrozenTrial) -> float:
    """Return the i-th objective, negated: PED-ANOVA explains what makes values low."""
    return -float(trial.values[i])


def _configuration(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters without the seed, which is no part of what is chosen."""
    return {name: value for name, value in parameters.items() if name != SEED}


def _finding(search: Search, seeds: Sequence[FrozenTrial]) -> Finding:
    """Make a finding of the trials of one configuration, a seed each: the means of their values."""
    values = {label: fmean(_values(search, trial)[label] for trial in seeds) for label in _values(search, seeds[0])}
    feasible = all(values[goal.label] >= goal.bound for goal in search.goals if goal.bound is not None)
    parameters = _configuration(seeds[0].params)
    label = search.space.label(parameters) if SEED in seeds[0].params else seeds[0].user_attrs[LABEL]
    return Finding(seeds[0].user_attrs[TRIAL_KEY], label, parameters, values, feasible, len(seeds))


def _values(search: Search, trial: FrozenTrial) -> dict[str, float]:
    """Read a trial's accuracies from Optuna: a constraint's is its bound minus the shortfall that was reported."""
    bounds = {goal.label: goal.bound for goal in search.goals if goal.bound is not None}
    found = {goal.label: value for goal, value in zip(search.objectives, trial.values, strict=True)}
    return found | {label: bounds[label] - short for label, short in trial.constraints.items() if label in bounds}
