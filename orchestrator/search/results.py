"""What a search found: its best cells, its Pareto front, and how much each factor mattered."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

import optuna
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, TrialState

from analysis.manifest import Manifest
from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from orchestrator.search.goals import Goal
from orchestrator.search.loop import LABEL, REASON, REPEATS, TRIAL, Search
from orchestrator.search.space import Cells, Drawn
from search_spaces.factor import Level, choice
from search_spaces.profiles import NATURAL
from search_spaces.study import Study

#: Fewer values than this say nothing of importance.
FEWEST = 4

#: Optuna's study carries what it is a search of, so that another search under its name is told.
_DEFINITION = "advsweep.definition"


@dataclass(frozen=True)
class Finding:
    """A cell and its accuracies on the validation images, in percent, by the goals' labels; ``seed`` is 0."""

    trial: str
    label: str
    drawn: Mapping[str, Any]
    values: Mapping[str, float]
    feasible: bool


def define(study: OptunaStudy, cells: Cells, goals: Sequence[Goal], checkpoint: str, overrides: Mapping[str, Any]) -> None:
    """Make sure that a study of Optuna's is of this search: of the same cells and goals.

    Raises:
        BadInput: it is of another one.
    """
    definition = {
        "space": cells.space.name,
        "profile": cells.profile.name,
        "factors": {factor.name: str(factor.distribution) for factor in cells.factors},
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
    """Every cell whose goals are known, the best first; with several objectives, those that none is better than in all."""
    trials = search.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = {t.user_attrs[TRIAL] for t in search.study.best_trials} if len(search.objectives) > 1 else set()
    found = [(t, _finding(search, t)) for t in trials if REPEATS not in t.user_attrs]
    order = sorted(found, key=lambda pair: (not pair[1].feasible, pair[1].trial not in best, [-v for v in pair[0].values]))
    return [finding for _, finding in order]


def chosen(search: Search) -> list[Finding]:
    """The findings to go on with, the best first: those that keep to the constraints; of several objectives the front."""
    return front(search) if len(search.objectives) > 1 else [finding for finding in findings(search) if finding.feasible]


def front(search: Search) -> list[Finding]:
    """Those that are feasible and that no other is at least as good as in every objective, and better in one."""
    best = {t.user_attrs[TRIAL] for t in search.study.best_trials}
    return [finding for finding in findings(search) if finding.trial in best]


def importances(search: Search) -> dict[str, dict[str, float]]:
    """Of each objective: what share of its variation each factor explains, by Optuna's evaluator (PED-ANOVA).

    Of factors that every cell has; empty where too few values are known, or where they are all the same.
    """
    if len(findings(search)) < FEWEST:  # a repetition is no other value
        return {}
    found: dict[str, dict[str, float]] = {}
    for i, goal in enumerate(search.objectives):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the evaluator is experimental, and that it asks for low values
            shares = optuna.importance.get_param_importances(search.study, target=partial(_shortfall, i))
        if shares:
            found[goal.label] = dict(shares)
    return found


def unfinished(search: Search) -> dict[str, str]:
    """Why cells have no value, by their labels: those that were stopped early, that failed, or that make no sense."""
    trials = search.study.get_trials(deepcopy=False)
    return {t.user_attrs[LABEL]: t.user_attrs[REASON] for t in trials if REASON in t.user_attrs and LABEL in t.user_attrs}


def tried(search: Search) -> dict[str, str]:
    """Every trial that the search has drawn so far, with the cell's label."""
    trials = search.study.get_trials(deepcopy=False)
    return {t.user_attrs[TRIAL]: t.user_attrs[LABEL] for t in trials if TRIAL in t.user_attrs and LABEL in t.user_attrs}


def finalists(search: Search, best: Sequence[Finding]) -> Study:
    """The study whose rows are these cells, to be trained for all seeds and attacked on the test set."""
    return as_study(search.study.study_name, search.cells, [f.drawn for f in best], search.goals, search.checkpoint)


def as_study(
    name: str, cells: Cells, some: Sequence[Drawn], goals: Sequence[Goal], checkpoint: Literal["best", "last"]
) -> Study:
    """The study whose rows are some cells, its columns natural accuracy and the goals; without any, of the space as it is."""
    labels = [cells.label(drawn) for drawn in some]
    # Numbers that differ behind the digits that are printed.
    told_apart = [label if labels.count(label) == 1 else f"{label} ({i})" for i, label in enumerate(labels, 1)]
    levels = tuple(Level(label, cells.settings(drawn)) for label, drawn in zip(told_apart, some, strict=True))
    return Study(
        name=name,
        aliases=(),
        reference="a search",
        title=f"Search over {', '.join(factor.symbol for factor in cells.factors)}",
        factors=(choice("configuration", "configuration", levels, default=levels[0].label),) if levels else (),
        columns=tuple({column.label: column for column in (NATURAL, *(goal.column for goal in goals))}.values()),
        profiles=cells.space.profiles,
        fixed=cells.space.fixed,
        checkpoint=checkpoint,
    )


def manifest(search: Search, profile: str, seeds: int | None, overrides: Mapping[str, Any]) -> Manifest:
    """What the storage says of a search that is under way: no rows yet, and the trials that it has drawn."""
    made = plan([finalists(search, ())], profile, seeds=seeds, overrides=overrides).manifests[0]
    return replace(made, arms=(), beside=tried(search))


def as_json(search: Search) -> dict[str, Any]:
    """Everything that was found, for programs."""
    return {
        "objectives": [goal.label for goal in search.objectives],
        "constraints": {goal.label: goal.bound for goal in search.goals if goal.bound is not None},
        "findings": [asdict(finding) for finding in findings(search)],
        "front": [finding.trial for finding in front(search)],
        "importances": importances(search),
        "unfinished": unfinished(search),
    }


def _shortfall(i: int, trial: FrozenTrial) -> float:
    """PED-ANOVA asks what makes values low."""
    return -float(trial.values[i])


def _finding(search: Search, trial: FrozenTrial) -> Finding:
    values = {goal.label: value for goal, value in zip(search.objectives, trial.values, strict=True)}
    bounds = {goal.label: goal.bound for goal in search.goals if goal.bound is not None}
    values |= {label: bounds[label] - short for label, short in trial.constraints.items() if label in bounds}
    feasible = all(short <= 0 for short in trial.constraints.values())
    return Finding(trial.user_attrs[TRIAL], trial.user_attrs[LABEL], dict(trial.params), values, feasible)
