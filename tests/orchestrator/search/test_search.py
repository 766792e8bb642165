"""A search: what it samples, reports to Optuna, and resumes from. The record is written by hand."""

from dataclasses import replace
from itertools import product

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from analysis.record.schema import Ending, Status
from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from orchestrator.record.report import End, Report
from orchestrator.search.goals import goals
from orchestrator.search.loop import Search
from orchestrator.search.results import (
    as_json,
    chosen,
    define,
    finalists,
    findings,
    front,
    importances,
    manifest,
    sampled_labels,
)
from orchestrator.search.samplers import PRUNERS, SAMPLERS, open_study
from orchestrator.search.space import SearchSpace
from orchestrator.tracking.optuna_storage import open_storage
from search_spaces.catalog import SPACES
from search_spaces.factor import Factor, Level, choice
from search_spaces.space import Space
from search_spaces.training import SEED
from tests.support.untrained_trials import answer, write

CIFS = SPACES["cifs"]
EPOCHS = CIFS.profiles["demo"].pins["training.epochs"]
DIVERGED = End(Ending.DIVERGED, "diverged at epoch 1: the loss is nan")
NO_MEMORY = End(Ending.OUT_OF_MEMORY, "out of memory: 2 GiB")


def factor(name, field, values):
    return choice(name, name, tuple(Level(f"{name} = {v}", {field: v}) for v in values), f"{name} = {values[0]}")


#: 32 combinations.
GRID = Space(
    "own",
    CIFS.fixed,
    (factor("beta", "module.beta", (0.5, 1.0, 2.0, 4.0)), factor("k", "module.top_k", (1, 2, 3, 4)),
     factor("imgf", "module.imgf.name", ("softmax", "sigmoid"))),
    CIFS.profiles,
)  # fmt: skip


class Run:
    """Begins searches on one storage, as one process after another would."""

    def __init__(self, store, space=GRID, names=None, objectives=("pgd20",), constraints=()):
        self.store, self.goals = store, goals(objectives, constraints)
        self.space = SearchSpace(space, space.profiles["demo"], names)
        store.create()

    def begin(self, trials=100, sampler="random", pruner="none", seed=0, **more):
        labels = [goal.label for goal in self.goals if goal.bound is None]
        storage = open_storage(f"{self.store.root}/optuna.journal")
        study = open_study(storage, "own/search", labels, sampler, pruner, EPOCHS, seed)
        return Search(study, self.space, self.goals, "last", self.store, trials, seed, **more)

    def train(self, search, planned, accuracy=0.5, **others):
        """Record a trial as a worker would, with these accuracies, and end it."""
        write(self.store, planned)
        answer(self.store, planned, {"PGD-20": accuracy, "Natural": 0.9} | others)
        search.ended(planned.key)

    def all_of(self, search, accuracy=lambda planned: 0.5):
        sampled = []
        while (planned := search.next()) is not None:
            sampled.append(planned)
            self.train(search, planned, accuracy(planned))
        return sampled


@pytest.fixture
def run(store):
    return Run(store)


def better_with_beta(planned):
    module = planned.config.module
    return module.beta / 10 + module.top_k / 100 + (module.imgf.name == "softmax") / 1000


# --- sampling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_combination_is_trained_once_and_then_the_search_ends(run, sampler):
    search = run.begin(sampler=sampler)
    sampled = run.all_of(search, better_with_beta)
    assert len(sampled) == len({planned.key for planned in sampled}) == 32
    assert search.exhausted
    assert search.next() is None
    best, *_ = findings(search)
    assert (best.label, best.values["PGD-20"]) == ("beta = 4.0, k = 4, imgf = softmax", pytest.approx(44.1))
    assert len(findings(search)) == 32


def test_as_many_configurations_are_tried_as_allowed(run):
    search = run.begin(trials=5)
    assert len(run.all_of(search)) == 5
    assert not search.exhausted
    assert len(run.all_of(run.begin(trials=8))) == 3


def test_running_trials_are_not_run_again(run):
    search = run.begin()
    running = [search.next() for _ in range(32)]
    assert len({planned.key for planned in running}) == 32
    assert search.next() is None
    for planned in running:
        run.train(search, planned)
    assert {t.state for t in search.study.trials if "repeats" not in t.user_attrs} == {TrialState.COMPLETE}


def test_goals_are_evaluated_on_the_validation_images(run):
    planned = run.begin().next()
    assert {(e.attack.name, e.attack.split, e.checkpoint, e.label) for e in planned.evaluations} == {
        ("pgd", "validation", "last", "PGD-20")
    }
    assert sorted(e.attack.beta_atk for e in planned.evaluations) == ["0", "2", "inf-1"]
    assert planned.config.seed == 0


def test_invalid_parameters_are_refused_and_not_trained(store):
    space = replace(GRID, factors=(factor("k", "module.top_k", (1, 11)),))
    run = Run(store, space)
    search = run.begin()
    assert len(run.all_of(search)) == 1
    (refused,) = [t for t in search.study.trials if "reason" in t.user_attrs]
    assert refused.state == TrialState.FAIL
    assert as_json(search)["unfinished"] == {"k = 11": refused.user_attrs["reason"]}
    assert "module.top_k = 11" in refused.user_attrs["reason"]


# --- reporting to Optuna ------------------------------------------------------------------------------------------------


def test_the_lowest_accuracy_over_beta_atk_is_reported_in_percent(run):
    search = run.begin()
    run.train(search, search.next(), 0.25)
    (reported,) = search.study.trials
    assert (reported.state, reported.value) == (TrialState.COMPLETE, pytest.approx(25))


def test_a_repetition_reports_the_same_result_and_is_marked(run):
    search = run.begin(sampler="random")
    run.all_of(search, better_with_beta)
    repeats = [t for t in search.study.trials if "repeats" in t.user_attrs]
    assert repeats
    for repeat in repeats:
        first = search.study.trials[repeat.user_attrs["repeats"]]
        assert (repeat.values, repeat.params) == (first.values, first.params)


def test_results_of_the_record_are_reported_first_and_do_not_count(run):
    first = run.begin(trials=3)
    sampled = run.all_of(first, better_with_beta)
    # Another search of the same space.
    storage = open_storage("sqlite://")
    study = open_study(storage, "other/search", ["PGD-20"], "tpe", "none", EPOCHS, 0)
    other = Search(study, run.space, run.goals, "last", run.store, trials=2)
    reported = {t.user_attrs["trial"]: t.value for t in study.trials}
    assert reported == {planned.key: pytest.approx(100 * better_with_beta(planned)) for planned in sampled}
    assert all(t.user_attrs["known"] for t in study.trials)
    assert other.tried == 0
    assert {planned.key for planned in run.all_of(other)}.isdisjoint(reported)
    assert other.tried == 2


def test_trained_trials_are_only_evaluated_and_come_first(run):
    trained = run.begin().next()
    write(run.store, trained)
    storage = open_storage("sqlite://")
    study = open_study(storage, "other/search", ["PGD-20"], "tpe", "none", EPOCHS, 0)
    other = Search(study, run.space, run.goals, "last", run.store, trials=1)
    first = other.next()
    assert (first.key, first.trained, len(first.missing)) == (trained.key, True, 3)
    run.train(other, first)
    assert (other.tried, other.next() is None) == (0, False)


def test_trials_that_failed_before_are_not_run_again(run):
    failed = run.begin().next()
    write(run.store, failed, Status.FAILED, DIVERGED, robust=[])
    again = run.begin()
    assert failed.key not in {planned.key for planned in run.all_of(again)}
    (reported,) = [t for t in again.study.trials if t.user_attrs.get("trial") == failed.key and t.state == TrialState.PRUNED]
    assert reported.user_attrs["reason"] == "diverged at epoch 1: the loss is nan"


def test_failed_trials_are_run_again_on_request(run):
    failed = run.begin().next()
    write(run.store, failed, Status.FAILED, NO_MEMORY, robust=[])
    assert failed.key in {planned.key for planned in run.all_of(run.begin(retry_failed=True))}


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (DIVERGED, TrialState.PRUNED),
        (NO_MEMORY, TrialState.FAIL),
        (End(Ending.ERROR, "diverged: a ValueError that says so"), TrialState.FAIL),  # the message decides nothing
    ],
)
def test_divergence_counts_as_bad_and_running_out_of_memory_as_no_result(run, end, state):
    search = run.begin()
    planned = search.next()
    write(run.store, planned, Status.FAILED, end, robust=[0.5])
    search.ended(planned.key)
    (reported,) = search.study.trials
    assert (reported.state, reported.user_attrs["reason"]) == (state, end.reason)
    assert sampled_labels(search) == {planned.key: reported.user_attrs["cell"]}


@pytest.mark.parametrize("end", [DIVERGED, NO_MEMORY])
def test_failed_trials_come_first_when_the_same_search_retries_them(run, end):
    search = run.begin(trials=2)
    failed, fine = search.next(), search.next()
    write(run.store, failed, Status.FAILED, end, robust=[])
    search.ended(failed.key)
    run.train(search, fine)
    assert run.begin(trials=2).tried == (2 if end is DIVERGED else 1)
    again = run.begin(trials=2, retry_failed=True)
    first = again.next()
    assert first.key == failed.key
    run.train(again, first, 0.75)
    assert {f.trial: round(f.values["PGD-20"]) for f in findings(again)} == {failed.key: 75, fine.key: 50}
    assert again.next() is None


# --- early stopping -----------------------------------------------------------------------------------------------------


def report(search, planned, epoch, robust):
    return search.advanced(planned.key, Report(epoch, 0.9, robust, 3, 0, passes=1.0, seconds=1.0, done=False))


def early(why):
    return End(Ending.EARLY_STOPPED, why)


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name != "none"])
def test_bad_trials_are_stopped_early_and_reported_as_pruned(run, pruner):
    search = run.begin(pruner=pruner)
    stopped = {}
    for i in range(16):
        planned = search.next()
        robust = 0.5 if i < 8 else 0.1
        for epoch in range(1, EPOCHS + 1):
            if why := report(search, planned, epoch, robust):
                stopped[planned.key] = epoch
                write(run.store, planned, Status.EARLY_STOPPED, early(why), robust=[robust] * epoch)
                search.ended(planned.key)
                break
        else:
            # The objective's attack finds less than the selection after the last epoch: the objective is what counts.
            run.train(search, planned, robust - 0.05)
    reported = {t.user_attrs["trial"]: t for t in search.study.trials if "repeats" not in t.user_attrs}
    assert len(reported) == 16
    assert stopped
    for key, trial in reported.items():
        if key in stopped:
            assert trial.state == TrialState.PRUNED
            assert trial.last_step == stopped[key] < EPOCHS
            assert f"stopped early after epoch {stopped[key]} of {EPOCHS}" in trial.user_attrs["reason"]
        else:
            assert trial.state == TrialState.COMPLETE
            assert trial.value == pytest.approx(100 * trial.intermediate_values[1] / 100 - 5)
    assert {finding.trial for finding in findings(search)}.isdisjoint(stopped)


def test_without_a_pruner_nothing_is_stopped_early(run):
    search = run.begin()
    for i in range(8):
        planned = search.next()
        assert not any(report(search, planned, epoch, 0.5 - i / 20) for epoch in range(1, EPOCHS))


def test_early_stopped_trials_resume_and_are_reported_from_their_first_epoch(run):
    search = run.begin()
    planned = search.next()
    write(run.store, planned, Status.EARLY_STOPPED, early("stopped early"), robust=[0.1, 0.2])
    study = open_study(open_storage("sqlite://"), "x/y", ["PGD-20"], "random", "none", EPOCHS, 0)
    other = Search(study, run.space, run.goals, "last", run.store, trials=100)
    assert planned.key in {sampled.key for sampled in run.all_of(other)}
    (reported,) = [t for t in study.trials if t.user_attrs["trial"] == planned.key and "repeats" not in t.user_attrs]
    assert reported.intermediate_values == {1: pytest.approx(10), 2: pytest.approx(20)}


def test_unlike_plain_optuna_search_it_ends_repeats_nothing_and_reports_no_early_stop_as_a_result(run):
    """Ray Tune's OptunaSearch and this search on the same 32 combinations."""
    space = {f.name: CategoricalDistribution([level.label for level in f.levels]) for f in GRID.factors}
    plain = OptunaSearch(lambda trial: {n: trial.suggest_categorical(n, d.choices) for n, d in space.items()} and None,
                         metric="robust", mode="max", sampler=SAMPLERS["tpe"](0))  # fmt: skip
    seen = []
    for i in range(48):
        suggested = plain.suggest(str(i))
        assert suggested != Searcher.FINISHED
        seen.append(tuple(sorted(suggested.items())))
        ended = {"robust": 0.1, "epoch": 1, "training_iteration": 1}  # as ASHA stops it: Tune passes no reason on
        plain.on_trial_complete(str(i), ended)
    assert len(set(seen)) < 48
    assert plain._ot_study is not None
    assert {t.state for t in plain._ot_study.trials} == {TrialState.COMPLETE}

    search = run.begin(sampler="tpe", pruner="asha")
    sampled = []
    while (planned := search.next()) is not None:
        sampled.append(planned.key)
        accuracy = 0.5 if len(sampled) < 8 else 0.1
        if why := report(search, planned, 1, accuracy):
            write(run.store, planned, Status.EARLY_STOPPED, early(why), robust=[accuracy])
            search.ended(planned.key)
        else:
            run.train(search, planned, accuracy)
    assert len(set(sampled)) == len(sampled) == 32
    states = [t.state for t in search.study.trials if "repeats" not in t.user_attrs]
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert states.count(TrialState.PRUNED) > 16
    assert {round(t.value) for t in search.study.trials if t.state == TrialState.COMPLETE} == {50, 10}


# --- kill and resume ----------------------------------------------------------------------------------------------------


def test_a_killed_search_resumes_with_its_history_and_running_trials_come_first(run):
    killed = run.begin(trials=6, sampler="tpe")
    done = [killed.next() for _ in range(3)]
    for planned in done:
        run.train(killed, planned, better_with_beta(planned))
    running = killed.next()
    again = run.begin(trials=6, sampler="tpe")
    assert {f.trial for f in findings(again)} == {planned.key for planned in done}
    assert again.tried == 3
    first = again.next()
    assert first.key == running.key
    run.train(again, first)
    rest = run.all_of(again)
    keys = [planned.key for planned in (*done, first, *rest)]
    assert len(keys) == len(set(keys)) == 6
    assert sampled_labels(again).keys() == set(keys)


def test_another_search_of_the_same_name_is_refused(run):
    search = run.begin()
    define(search.study, run.space, run.goals, "last", {})
    define(search.study, run.space, run.goals, "last", {})
    other = SearchSpace(GRID, GRID.profiles["demo"], ["beta", "k"])
    with pytest.raises(BadInput, match=r"^--name 'own/search': that search has factors .*, and not .*; choose another name$"):
        define(search.study, other, run.goals, "last", {})
    with pytest.raises(BadInput, match="that search has checkpoint last, and not best"):
        define(search.study, run.space, run.goals, "best", {})


def test_a_study_that_is_no_search_is_not_changed(run):
    storage = open_storage("sqlite://")
    study = optuna.create_study(storage=storage, study_name="own/search", direction="maximize")
    study.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(BadInput, match="Optuna has a study of that name that is no search"):
        define(study, run.space, run.goals, "last", {})


def test_a_search_with_other_objectives_is_refused(run):
    run.begin()
    with pytest.raises(BadInput, match="there is a search of that name with other objectives"):
        Run(run.store, objectives=("pgd20", "natural")).begin()


# --- results ------------------------------------------------------------------------------------------------------------


def test_several_objectives_have_a_front(store):
    run = Run(store, objectives=("pgd20", "natural"))
    search = run.begin(sampler="nsga2")
    while (planned := search.next()) is not None:
        beta, k = planned.config.module.beta, planned.config.module.top_k
        # A larger beta is more robust and less accurate; a larger k is better in both.
        run.train(search, planned, beta / 10 + k / 100, Natural=0.5 - beta / 10 + k / 100)
    best = front(search)
    assert {f.parameters["k"] for f in best} == {"k = 4"}
    assert len(best) == 8  # every beta, with both masks, which make no difference
    assert [f.trial for f in chosen(search)] == [f.trial for f in best] == [f.trial for f in findings(search)[:8]]
    assert importances(search).keys() == {"PGD-20", "Natural"}


def test_findings_that_break_a_constraint_are_not_chosen(store):
    run = Run(store, constraints=("natural >= 60",))
    search = run.begin(sampler="tpe")
    while (planned := search.next()) is not None:
        beta = planned.config.module.beta
        run.train(search, planned, beta / 10, Natural=0.8 - beta / 10)
    assert max(f.values["PGD-20"] for f in findings(search)) == pytest.approx(40)
    assert {f.parameters["beta"] for f in chosen(search)} == {"beta = 2.0", "beta = 1.0", "beta = 0.5"}
    assert chosen(search)[0].parameters["beta"] == "beta = 2.0"
    assert findings(search)[0].feasible
    # The natural accuracy is the second evaluation, and a hundredth higher by the hand that wrote it.
    assert chosen(search)[0].values["Natural"] == pytest.approx(60 + 100 * 0.03)


def test_the_factor_that_matters_is_the_most_important(run):
    search = run.begin()
    run.all_of(search, better_with_beta)
    (shares,) = importances(search).values()
    assert max(shares, key=shares.get) == "beta"
    assert sum(shares.values()) == pytest.approx(1)


def test_importance_is_for_being_among_the_best(run):
    """The largest beta always gives the best results; among the others one k gives the worst."""
    search = run.begin()

    def accuracy(planned):
        module = planned.config.module
        return 0.9 if module.beta == 4 else 0.1 if module.top_k == 1 else 0.5

    run.all_of(search, accuracy)
    (shares,) = importances(search).values()
    assert max(shares, key=shares.get) == "beta"


def test_seeds_that_are_drawn_are_averaged_and_none_is_chosen(store):
    """With beta = 1 one lucky seed is the best of all; in the mean over seeds, beta = 4 is."""
    seed = Factor("seed", "seed", SEED.levels, SEED.default, IntDistribution(0, 3))
    run = Run(store, replace(GRID, factors=(GRID.factors[0], seed)), ("beta", "seed"), constraints=("natural >= 89",))
    search = run.begin()

    def accuracy(planned):
        beta, number = planned.config.module.beta, planned.config.seed
        return 0.95 if (beta, number) == (1, 2) else beta / 10 + number / 100

    sampled = run.all_of(search, accuracy)
    assert sorted((t.config.module.beta, t.config.seed) for t in sampled) == [*product((0.5, 1.0, 2.0, 4.0), range(4))]
    best, *others = chosen(search)
    assert (best.label, best.parameters, best.seeds) == ("beta = 4.0", {"beta": "beta = 4.0"}, 4)
    assert best.values == {"PGD-20": pytest.approx(41.5), "Natural": pytest.approx(90, abs=3.1)}
    assert [f.parameters["beta"] for f in others] == ["beta = 1.0", "beta = 2.0", "beta = 0.5"]
    assert importances(search).keys() == {"PGD-20"}
    assert importances(search)["PGD-20"].keys() == {"beta"}
    made = plan([finalists(search, [best])], "demo", seeds=2)
    assert [trial.config.seed for trial in made.trials] == [0, 1]
    assert all("seed" in trial.params for trial in search.study.trials)
    # A study of the record's trials finds each by its seed.
    assert run.space.locate(sampled[0].config) == {
        "beta": f"beta = {sampled[0].config.module.beta}",
        "seed": sampled[0].config.seed,
    }


def test_seeds_alone_are_one_configuration(store):
    run = Run(store, CIFS, ["seed"])
    search = run.begin(trials=3)
    run.all_of(search, lambda planned: planned.config.seed / 10)
    (found,) = findings(search)
    assert (found.label, found.parameters, found.seeds) == ("defaults", {}, 3)
    assert [t.config.seed for t in plan([finalists(search, [found])], "demo", seeds=2).trials] == [0, 1]


def test_the_seed_varies_only_where_it_is_named():
    demo = CIFS.profiles["demo"]
    assert "seed" not in {factor.name for factor in SearchSpace(CIFS, demo).factors}
    space = SearchSpace(CIFS, demo, ["beta", "seed"])
    assert isinstance(space.distributions({"beta": 1.0, "seed": 3})["seed"], IntDistribution)
    assert space.config({"beta": 1.0, "seed": 3}).seed == 3
    with pytest.raises(BadInput, match="--factors seed: seed is fixed by profile demo or --set"):
        SearchSpace(CIFS, demo, ["seed"], {"seed": 1})


def test_few_results_have_no_importances(run):
    search = run.begin(trials=3)
    run.all_of(search)
    assert importances(search) == {}


def test_the_finalists_are_a_study(run):
    search = run.begin()
    run.all_of(search, better_with_beta)
    best = chosen(search)[:2]
    study = finalists(search, best)
    arms = study.arms(study.profiles["demo"])
    assert [arm.labels for arm in arms] == [(f.label,) for f in best]
    assert [arm.settings for arm in arms] == [run.space.settings(f.parameters) for f in best]
    assert [column.label for column in study.columns] == ["Natural", "PGD-20"]


def test_the_manifest_names_the_sampled_trials(run):
    search = run.begin(trials=2)
    sampled = run.all_of(search)
    described = manifest(search, "demo", None, {})
    assert (described.study, described.arms) == ("own/search", ())
    assert described.beside == {planned.key: run.space.label(run.space.locate(planned.config)) for planned in sampled}


# --- goals --------------------------------------------------------------------------------------------------------------


def test_goals_are_the_papers_columns_or_attacks():
    some = goals(["pgd20", "pgd(iterations=50)"], ["natural >= 80", "PGD-100>=40.5%"])
    assert [(goal.label, goal.bound) for goal in some] == [
        ("PGD-20", None),
        ("pgd(iterations=50)", None),
        ("Natural", 80.0),
        ("PGD-100", 40.5),
    ]
    assert [goal.column.beta_atk for goal in some] == [None, None, ("own",), None]


@pytest.mark.parametrize(
    ("objectives", "constraints", "message"),
    [
        (["pgd20", "PGD-20"], [], "--objective, --constraint: 'PGD-20' is given twice"),
        (["pgd20"], ["natural > 80"], "--constraint 'natural > 80': write an accuracy and its least percentage"),
        (["pgd20"], ["natural >= 180"], "--constraint 'natural >= 180': write an accuracy and its least percentage"),
        (["pgd20("], [], "--attack 'pgd20(': write a name"),
    ],
)
def test_invalid_goals_are_refused(objectives, constraints, message):
    with pytest.raises(BadInput) as refused:
        goals(objectives, constraints)
    assert str(refused.value).startswith(message)
