"""What studies come to: trials and evaluations, each once, and what is left of them to do."""

import json
import re
import subprocess
import sys
from dataclasses import fields, replace

import pytest
from pydantic import BaseModel

from analysis.record.manifest import Manifest, Read
from analysis.record.schema import Status
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.errors import BadInput
from orchestrator.planning.demand import SOURCE_SEED
from orchestrator.planning.expansion import plan
from orchestrator.planning.settings import configure, resolve
from orchestrator.record.recorded import Failed, Recorded
from search_spaces.catalog import STUDIES
from search_spaces.column import Column
from search_spaces.factor import Level, choice
from search_spaces.profiles import NATURAL
from search_spaces.settings import Eps
from search_spaces.study import Arm, Panel, Profile
from search_spaces.training import SEED
from tests.support.tiny_study import DEFENSE, EPOCHS, SETTINGS, STUDY, tiny_plan
from trainables.config import (
    CIFS,
    CW,
    CWL2,
    DDN,
    DIFGSM,
    FAB,
    FGSM,
    MD,
    MIM,
    PGD,
    TSNE,
    Activations,
    AsTraining,
    AutoAttack,
    AutoPGD,
    AvgPGD,
    Boundary,
    BrendelBethge,
    ClassGradients,
    Data,
    DeepFool,
    Dimensions,
    InfoFeature,
    NAttack,
    Natural,
    Noise,
    NoModule,
    Perturbations,
    Runtime,
    Sensitivity,
    Soundness,
    Square,
    Transfer,
    TrialConfig,
    attack_key,
    canonical_attack,
    evaluation_key,
    heads,
    measurement_key,
    trial_key,
)
from trainables.config.terms import registry

VANILLA, CAS, CIFS_ARM = 0, 1, 2
BETAS = ("0", "2", "inf-1")


def record(made, arm, **known):
    """The plan, where the record holds ``known`` of one trial."""
    return made.against({made.trials[arm].key: Recorded(**known)})


def finished(trial):
    keys = (frozenset(part.key for part in parts) for parts in (trial.evaluations, trial.measurements))
    return Recorded(Status.FINISHED, "", EPOCHS, *keys)


# --- trials -------------------------------------------------------------------------------------------------------------


def test_a_trial_for_each_arm_and_seed():
    made = tiny_plan(seeds=2)
    assert made.requested == len(made.trials) == len({t.key for t in made.trials}) == 6
    assert {(t.arms["tiny/table"], t.config.seed) for t in made.trials} == {
        (level.label, seed) for level in DEFENSE.levels for seed in (0, 1)
    }
    assert all(t.key == trial_key(t.config) for t in made.trials)


def test_no_seed_is_lost_also_not_that_of_sources():
    made = tiny_plan(seeds=SOURCE_SEED + 2)
    assert len(made.trials) == made.requested == 3 * (SOURCE_SEED + 2)


def test_the_profile_says_how_many_seeds_unless_told():
    assert plan([STUDY], "demo").requested == 3 * 2
    assert plan([STUDY], "demo", seeds=5).requested == 3 * 5


def test_the_first_seed_of_every_arm_comes_first():
    made = tiny_plan(seeds=3)
    assert [t.config.seed for t in made.trials] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [t.label for t in made.trials[:4]] == ["Vanilla seed 0", "CAS seed 0", "CIFS seed 0", "Vanilla seed 1"]


def test_of_one_seed_what_most_studies_share_comes_first():
    other = replace(STUDY, name="tiny/other", factors=(replace(DEFENSE, levels=DEFENSE.levels[2:]),))
    made = tiny_plan(seeds=2, studies=(STUDY, other))
    assert [t.label for t in made.trials] == [f"{arm} seed {seed}" for seed in (0, 1) for arm in ("CIFS", "Vanilla", "CAS")]


def test_a_trial_that_studies_share_is_one_with_the_evaluations_of_both():
    other = replace(
        STUDY,
        name="tiny/other",
        factors=(),
        fixed={"module.name": "cifs"},
        columns=(NATURAL, Column("CW", {"name": "cw", "eps": Eps(), "step": Eps(), "iterations": 1})),
    )
    alone, made = tiny_plan(), tiny_plan(studies=(STUDY, other))
    assert (made.requested, len(made.trials)) == (4, 3)
    shared = made.trials[0]
    assert shared.key == alone.trials[CIFS_ARM].key
    assert shared.arms == {"tiny/table": "CIFS", "tiny/other": other.title}
    of_its_own = [e for e in shared.evaluations if e not in alone.trials[CIFS_ARM].evaluations]
    assert {(e.attack.name, e.checkpoint) for e in of_its_own} == {("cw", "last"), ("cw", "best")}
    assert [e.label for e in shared.evaluations[:2]] == ["Natural", "Natural"]
    assert [m.arms[-1].trials["0"] for m in made.manifests] == [shared.key] * 2


def test_a_study_asked_for_twice_is_planned_once():
    once, twice = tiny_plan(), tiny_plan(studies=(STUDY, STUDY))
    assert [t.key for t in twice.trials] == [t.key for t in once.trials]
    assert [t.evaluations for t in twice.trials] == [t.evaluations for t in once.trials]


def test_the_papers_share_what_they_share():
    studies = [study for study in STUDIES.values() if study.paper == "cifs"]
    made = plan(studies, "paper", seeds=1)
    assert made.requested == sum(len(study.arms(study.profiles["paper"])) for study in studies)
    by_study = {name: {t.key for t in made.trials if name in t.arms} for name in STUDIES}
    assert by_study["cifs/table-1"] == by_study["cifs/table-b2"]  # one prints the last checkpoint, the other the best
    assert len(by_study["cifs/table-1"] & by_study["cifs/table-5"] & by_study["cifs/table-e1"]) == 2  # vanilla and CIFS


@pytest.mark.parametrize("profile", ["paper", "short", "demo"])
def test_every_study_can_be_planned_in_every_profile(profile):
    made = plan(list(STUDIES.values()), profile)
    assert len(made.manifests) == len(STUDIES)
    assert 0 < len(made.trials) < made.requested
    assert all(t.evaluations or t.measurements or t.config.seed == SOURCE_SEED for t in made.trials)


# --- evaluations --------------------------------------------------------------------------------------------------------


def test_every_attack_runs_on_the_best_and_on_the_last_checkpoint():
    for trial in tiny_plan().trials:
        last, best = ([e for e in trial.evaluations if e.checkpoint == checkpoint] for checkpoint in ("last", "best"))
        assert [e.attack for e in last] == [e.attack for e in best]
        assert len({e.key for e in trial.evaluations}) == len(trial.evaluations) == len(last) + len(best)
        assert all(e.key == evaluation_key(trial.key, e.checkpoint, e.attack) for e in trial.evaluations)


def test_without_modules_every_weight_of_theirs_is_one_attack():
    vanilla, cas, cifs = tiny_plan().trials
    for trial, betas in ((vanilla, ["0"]), (cas, list(BETAS)), (cifs, list(BETAS))):
        pgd = [e.attack for e in trial.evaluations if isinstance(e.attack, PGD) and e.checkpoint == "last"]
        assert [attack.beta_atk for attack in pgd] == betas


def test_own_is_the_weight_that_the_network_was_trained_with():
    made = tiny_plan(module__beta=5.0)
    assert [next(e.attack.beta_atk for e in t.evaluations if e.label == "FGSM") for t in made.trials] == ["0", "5", "5"]


@pytest.mark.parametrize(
    ("module", "beta_atk", "canonical"),
    [
        (NoModule(), "own", "0"),
        (NoModule(), "10", "0"),
        (NoModule(), "inf", None),
        (NoModule(), "inf-1", None),
        (CIFS(beta=0.5), "own", "0.5"),
        (CIFS(beta=3.0), "own", "3"),
        (CIFS(), "2.0", "2"),
        (CIFS(), "2", "2"),
        (CIFS(), "0.10", "0.1"),
        (CIFS(), "1e1", "10"),
        (CIFS(), "inf", "inf"),
        (CIFS(), "inf-2", "inf-2"),
        (CIFS(), "inf-3", None),
        (CIFS(positions=("P1",), probes=("mlp",)), "inf-2", None),
    ],
)
def test_equal_attacks_are_equal(module, beta_atk, canonical):
    attack = canonical_attack(FGSM(eps=0.1, beta_atk=beta_atk), module)
    assert attack == (None if canonical is None else FGSM(eps=0.1, beta_atk=canonical))


def test_a_column_at_a_modules_own_prediction_is_left_out_where_there_is_no_such_module():
    made = plan([STUDIES["cifs/table-5"]], "demo", seeds=1)
    (manifest,) = made.manifests
    for arm in manifest.arms:
        vanilla = arm.labels == ("Vanilla",)
        assert arm.reads.keys() == (
            {"Natural/Final", "Adap/Final"} if vanilla else {c.label for c in STUDIES["cifs/table-5"].columns}
        )
    assert {c.label: c.head for c in manifest.columns}["CIFS/CIFS"] == "1"


def test_without_its_module_a_column_asks_for_no_evaluation():
    study = replace(STUDY, columns=(Column("First", {"name": "natural"}, head="1"),))
    made = tiny_plan(studies=(study,))
    assert [len(t.evaluations) for t in made.trials] == [0, 2, 2]
    assert [arm.reads.keys() for arm in made.manifests[0].arms] == [set(), {"First"}, {"First"}]


def test_columns_of_one_label_may_read_other_heads_in_other_rows():
    """Where there is no module, CAS's Table 4 has the final prediction in the columns of the module's own."""
    (manifest,) = plan([STUDIES["cas/table-4"]], "demo", seeds=1).manifests
    assert len(manifest.columns) == 4
    for arm in manifest.arms:
        head = {"Vanilla": "final", "CAS": "1"}[arm.labels[-1]]
        assert arm.reads.keys() == {column.label for column in manifest.columns}
        assert {arm.own(column).head for column in manifest.columns} == {head}


@pytest.mark.parametrize("profile", ["paper", "demo"])
def test_a_table_has_the_columns_that_some_row_has(profile):
    """AFD's data sets have an eps each, and the demo has one data set."""
    (manifest,) = plan([STUDIES["afd/figure-2"]], profile, seeds=1).manifests
    labels = [column.label for column in manifest.columns]
    assert set(labels) == {label for arm in manifest.arms for label in arm.reads}
    assert ("PGD-L∞ ε = 8/255" in labels, "PGD-L∞ ε" in labels) == (profile == "paper", profile == "demo")


@pytest.mark.parametrize(("module", "names"), [(NoModule(), ["final"]), (CIFS(), ["final", "1", "2"])])
def test_heads(module, names):
    assert heads(module) == names


# --- overrides and profiles ---------------------------------------------------------------------------------------------


def test_a_factor_that_sets_only_overridden_fields_disappears():
    study = STUDIES["cifs/table-e1"]
    default = plan([study], "demo", seeds=1)
    made = plan([study], "demo", seeds=1, overrides={"module.beta": 3.0})
    assert [t.config.module.beta for t in made.trials] == [3.0]
    assert [a.labels for a in default.manifests[0].arms] == [("Vanilla",), *((f"β = {b:g}",) for b in (0.1, 1, 2, 10, 100))]
    assert (made.manifests[0].factors, [a.labels for a in made.manifests[0].arms]) == ((), [()])
    assert [t.arms for t in made.trials] == [{study.name: study.title}]
    assert made.manifests[0].overrides == {"module.beta": 3.0}


def test_an_override_makes_other_trials_under_another_name():
    made, other = tiny_plan(), tiny_plan(training__lr=0.5)
    assert {t.key for t in made.trials}.isdisjoint(t.key for t in other.trials)
    assert {t.config.training.lr for t in other.trials} == {0.5}
    assert made.manifests[0].variant == "demo"
    assert other.manifests[0].variant == "demo@training.lr=0.5"


def test_an_override_that_changes_nothing_makes_the_same_trials():
    assert [t.key for t in tiny_plan(training__lr=0.05).trials] == [t.key for t in tiny_plan().trials]


MANY = {
    "attack.eps": 0.125,
    "attack.iterations": 3,
    "attack.step": 0.25,
    "data.crop": 0,
    "data.validation": 0.5,
    "model.width": 8,
    "selection.attack.eps": 0.125,
    "selection.attack.iterations": 2,
    "selection.attack.step": 0.25,
    "training.batch_size": 32,
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"module.positions": ["P1"]}, {"module.positions": ("P1",)}),
        ({**MANY, "training.weight_decay": 0.1}, {**MANY, "training.weight_decay": 0.2}),
    ],
)
def test_a_variants_name_is_one_that_every_file_system_takes(one, other):
    study = replace(STUDY, factors=(), fixed={"module.name": "cas"})
    names = [plan([study], "demo", overrides=overrides).manifests[0].variant for overrides in (one, other)]
    assert names[0] != names[1]
    for name in names:
        assert re.fullmatch(r"demo@[a-zA-Z0-9@=.,_-]{1,160}", name)


def test_a_seed_that_is_set_is_the_only_one():
    made = plan([STUDY], "demo", overrides={"seed": 3})
    assert {trial.config.seed for trial in made.trials} == {3}
    assert made.manifests[0].variant == "demo@seed=3"
    assert {trial.key for trial in made.trials} < {trial.key for trial in plan([STUDY], "demo", seeds=4).trials}
    with pytest.raises(BadInput, match=r"^--seeds 2: must not be given with --set seed, which is the only one$"):
        tiny_plan(seeds=2, seed=3)
    with pytest.raises(BadInput, match=r"^seed = -1: must be greater than or equal to 0$"):
        plan([STUDY], "demo", overrides={"seed": -1})


def test_rows_may_be_seeds():
    """Each row is the one training of its seed, the same as without the factor; other rows keep the profile's seeds."""
    study = replace(STUDY, factors=(*STUDY.factors, SEED), baselines=(Arm(("more", ""), {"training.lr": 0.01}),))
    made = plan([study], "demo")
    (manifest,) = made.manifests
    assert [(arm.labels, list(arm.trials)) for arm in manifest.arms[:3]] == [
        (("more", ""), ["0", "1"]),
        (("Vanilla", "seed = 0"), ["0"]),
        (("Vanilla", "seed = 1"), ["1"]),
    ]
    usual = {trial.key for trial in plan([STUDY], "demo", seeds=3).trials}
    assert usual == {key for arm in manifest.arms[1:] for key in arm.trials.values()}


def test_what_sets_the_seed_is_named_so_and_sets_nothing_else():
    for name, settings in (("repetition", {"seed": 1}), ("seed", {"seed": 1, "training.lr": 0.1})):
        with pytest.raises(ValueError, match="what sets the seed must be named 'seed', and set nothing else"):
            choice(name, name, (Level("1", settings),), "1")


def test_an_override_that_holds_in_no_trial_is_an_error():
    with pytest.raises(BadInput, match=r"^--set module\.suppression: there is no such field in these trials; did you mean "):
        plan([STUDIES["cifs/table-e1"]], "demo", overrides={"module.suppression": False})


def test_a_profile_that_a_study_does_not_have():
    with pytest.raises(BadInput, match=r"^--profile 'paper': allowed for tiny/table: demo$"):
        plan([STUDY], "paper")


def test_pins_hold_over_what_an_arm_sets_and_eps_is_the_profiles():
    profile = Profile("demo", eps=0.25, seeds=1, settings=SETTINGS, pins={"training.lr": 0.125, "attack.step": Eps(1 / 2)})
    slow = choice("slow", "s", (Level("slow", {"training.lr": 1e-4, "model.width": 8}),), "slow")
    made = plan([replace(STUDY, factors=(slow,), profiles={"demo": profile})], "demo")
    (trial,) = made.trials
    assert (trial.config.training.lr, trial.config.model.width) == (0.125, 8)
    assert (trial.config.attack.eps, trial.config.attack.step) == (0.25, 0.125)
    assert {e.attack.eps for e in trial.evaluations if not isinstance(e.attack, Natural)} == {0.25}


# --- against the record -------------------------------------------------------------------------------------------------


def test_nothing_recorded():
    made = tiny_plan()
    # vanilla: natural, FGSM, PGD; the others: natural, FGSM and PGD with three weights of the modules; each twice
    assert made.counts() == {
        "trials_requested": 3,
        "trials_unique": 3,
        "trials_cached": 0,
        "trials_to_run": 3,
        "trials_begun": 0,
        "trials_failed": 0,
        "evaluations_failed": 0,
        "evaluations_requested": 2 * (3 + 5 + 5),
        "evaluations_unique": 2 * (3 + 5 + 5),
        "evaluations_to_run": 2 * (3 + 5 + 5),
        "measurements_to_run": 0,
    }
    assert made.to_run == made.trials


def test_what_is_finished_is_not_run_again():
    made = tiny_plan()
    made = made.against({t.key: finished(t) for t in made.trials[1:]} | {"of another study": Recorded(Status.FINISHED)})
    assert [t.key for t in made.to_run] == [made.trials[VANILLA].key]
    assert (made.counts()["trials_cached"], made.counts()["trials_to_run"]) == (2, 1)
    assert made.counts()["evaluations_to_run"] == 6


def test_a_finished_trial_with_a_new_attack_is_evaluated_and_not_trained():
    made = tiny_plan()
    evaluations = made.trials[CAS].evaluations
    made = record(made, CAS, status=Status.FINISHED, epochs=EPOCHS, evaluations=frozenset(e.key for e in evaluations[2:]))
    cas = made.trials[CAS]
    assert (cas.trained, cas.missing) == (True, evaluations[:2])
    assert cas in made.to_run
    assert made.counts()["trials_to_run"] == 2
    assert made.counts()["trials_cached"] == 1


def test_an_unfinished_trial_goes_on():
    made = record(tiny_plan(), CAS, status=Status.UNFINISHED, epochs=EPOCHS - 1)
    assert (made.trials[CAS].trained, made.counts()["trials_to_run"], made.counts()["trials_cached"]) == (False, 3, 0)


def test_a_training_that_its_patience_ended_is_trained():
    trial = tiny_plan().trials[CAS]
    made = record(tiny_plan(), CAS, status=Status.FINISHED, epochs=EPOCHS - 1, evaluations=finished(trial).evaluations)
    assert made.trials[CAS].trained
    assert made.trials[CAS] not in made.to_run


def test_a_trial_killed_right_behind_its_last_epoch_still_has_to_be_closed():
    trial = tiny_plan().trials[VANILLA]
    made = record(tiny_plan(), VANILLA, status=Status.UNFINISHED, epochs=EPOCHS, evaluations=finished(trial).evaluations)
    assert made.trials[VANILLA] in made.to_run
    assert made.counts()["trials_to_run"] == 2


def test_failed_trials_are_left_alone_unless_they_are_to_be_tried_again():
    made = record(tiny_plan(), CAS, status=Status.FAILED, reason="out of memory", epochs=1)
    assert [t.arms["tiny/table"] for t in made.to_run] == ["Vanilla", "CIFS"]
    assert [t.recorded.reason for t in made.failed] == ["out of memory"]
    assert (made.counts()["trials_failed"], made.counts()["trials_to_run"]) == (1, 2)

    again = record(
        plan([STUDY], "demo", seeds=1, retry_failed=True), CAS, status=Status.FAILED, reason="out of memory", epochs=1
    )
    assert again.to_run == again.trials
    assert (again.failed, again.counts()["trials_failed"], again.counts()["trials_to_run"]) == ((), 0, 3)


def test_failed_evaluations_are_left_alone_unless_they_are_to_be_tried_again():
    trial = tiny_plan().trials[CAS]
    first, second, *others = trial.evaluations
    failures = {e.key: Failed(e.label, e.checkpoint, "ValueError: too steep") for e in (first, second)}
    known = {"status": Status.FINISHED, "epochs": EPOCHS, "failures": failures}

    made = record(tiny_plan(), CAS, **known, evaluations=frozenset(e.key for e in others))
    assert made.trials[CAS] not in made.to_run
    assert made.trials[CAS].failed == dict.fromkeys((first.name, second.name), "ValueError: too steep")
    assert (made.counts()["evaluations_failed"], made.failed) == (2, ())
    # What has neither a number nor a failure is run.
    less = record(tiny_plan(), CAS, **known, evaluations=frozenset(e.key for e in others[1:]))
    assert less.trials[CAS].missing == (others[0],)
    assert less.trials[CAS] in less.to_run

    again = plan([STUDY], "demo", seeds=1, retry_failed=True)
    again = record(again, CAS, **known, evaluations=frozenset(e.key for e in others))
    assert again.trials[CAS].missing == (first, second)
    assert (again.trials[CAS].failed, again.counts()["evaluations_failed"]) == ({}, 0)


# --- manifests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {
            "training.schedule.name": "multistep",
            "training.schedule.milestones": [3, 5],
            "training.schedule.gamma": [0.1],
            "training.lr": 0.5,
            "data.examples": None,
        },
    ],
)
@pytest.mark.parametrize("name", STUDIES)
def test_a_manifest_survives_its_file(name, overrides):
    (manifest,) = plan([STUDIES[name]], "demo", overrides=overrides).manifests
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.path == f"studies/{name}/{manifest.variant}.json"


def test_a_manifest_finds_every_trial_and_attack_of_its_study():
    made = tiny_plan(seeds=2)
    (manifest,) = made.manifests
    trials = {t.key: t for t in made.trials}
    assert manifest.trials == trials.keys()
    assert (manifest.study, manifest.profile, manifest.selection) == ("tiny/table", "demo", "validation")
    assert [c.label for c in manifest.columns] == ["Natural", "FGSM", "PGD"]
    assert [c.adversarial for c in manifest.columns] == [False, True, True]
    for arm in manifest.arms:
        assert arm.trials.keys() == {"0", "1"}
        for seed, key in arm.trials.items():
            assert trials[key].config.seed == int(seed)
            assert trials[key].arms["tiny/table"] == " ".join(arm.labels)
            attacks = {attack_key(e.attack): e.attack for e in trials[key].evaluations}
            found = [read.attack for reads in arm.reads.values() for read in reads]
            assert attacks.keys() == set(found)
            assert arm.reads["Natural"] == (Read(attack_key(Natural())),)
            assert all(attacks[read.attack].beta_atk == read.beta_atk for read in arm.reads["PGD"])


# --- identity -----------------------------------------------------------------------------------------------------------

BASE = resolve(SETTINGS, 0.1)
CONFIG = configure([BASE, {"module.name": "cifs", "module.imgf.name": "softplus"}], {})[0]


def leaves(tree, prefix=()):
    """Every leaf of a nested mapping, with its path; an element of a list is one."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    if not items:
        yield prefix
    for name, value in items:
        yield from leaves(value, (*prefix, name))


def changed(tree, path):
    """A copy of ``tree`` with another value at ``path``, whether or not that is allowed there."""
    copy = json.loads(json.dumps(tree))
    node = copy
    for name in path[:-1]:
        node = node[name]
    value = node[path[-1]]
    node[path[-1]] = not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else f"{value}x"
    return copy


def built(model, tree):
    """Build a configuration from a tree without validating its values."""
    fields = {}
    for name, value in tree.items():
        current = getattr(model, name)
        value = tuple(value) if isinstance(value, list) else value
        fields[name] = built(current, value) if isinstance(current, BaseModel) else value
    return type(model).model_construct(**fields)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("path", list(leaves(CONFIG.model_dump(mode="json"))), ids=lambda path: ".".join(map(str, path)))
def test_every_single_setting_changes_a_trials_identity(path):
    tree = CONFIG.model_dump(mode="json")
    assert trial_key(built(CONFIG, tree)) == trial_key(CONFIG)
    assert trial_key(built(CONFIG, changed(tree, path))) != trial_key(CONFIG)


def test_every_single_setting_is_a_field_that_the_key_sees():
    """The walk above misses nothing: it meets every field of every part of a configuration that is said."""

    def dotted(model):
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if field.exclude_if and field.exclude_if(value):
                continue
            yield from (f"{name}.{rest}" for rest in dotted(value)) if isinstance(value, BaseModel) else [name]

    walked = {".".join(p for p in path if isinstance(p, str)) for path in leaves(CONFIG.model_dump(mode="json"))}
    assert walked == set(dotted(CONFIG))
    assert len(walked) > 35


ATTACK = CW(eps=0.1, step=0.05, iterations=3, beta_atk="2")


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("field", CW.model_fields)
def test_every_single_setting_changes_an_attacks_identity(field):
    unsaid = dict.fromkeys(CW.model_fields)
    other = built(ATTACK, changed(unsaid | ATTACK.model_dump(mode="json"), (field,)))
    assert attack_key(other) != attack_key(ATTACK)
    assert evaluation_key("t", "best", other) != evaluation_key("t", "best", ATTACK)


def test_an_evaluation_is_of_one_trial_checkpoint_and_attack():
    key = evaluation_key("trial", "best", ATTACK)
    assert key != evaluation_key("another", "best", ATTACK)
    assert key != evaluation_key("trial", "last", ATTACK)
    assert key != evaluation_key("trial", "best", ATTACK, complete=True)
    assert key == evaluation_key("trial", "best", CW(**ATTACK.model_dump()))
    assert len({key, trial_key(CONFIG), attack_key(ATTACK)}) == 3


def test_equal_configurations_in_other_words_are_one_trial():
    words = {"module.name": "cifs", "module.positions": ("P1", "P2"), "module.probes": ("linear", "mlp")}
    own = {"module.name": "cifs", "module.positions": ("block3.1", "block4.1"), "module.probes": ("mlp", "linear")}
    assert trial_key(configure([BASE, words], {})[0]) == trial_key(configure([BASE, own], {})[0])
    assert trial_key(configure([{"training.lr": 1}], {})[0]) == trial_key(configure([{"training.lr": 1.0}], {})[0])


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_identities_are_the_same_in_every_process(hash_seed):
    code = (
        "from trainables.config import TrialConfig, trial_key, evaluation_key;"
        "import sys; c = TrialConfig.model_validate_json(sys.argv[1]);"
        "k = trial_key(c); print(k, evaluation_key(k, 'best', c.attack))"
    )
    key = trial_key(CONFIG)
    printed = subprocess.run(
        [sys.executable, "-c", code, CONFIG.model_dump_json()],
        env={"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert printed == [key, evaluation_key(key, "best", CONFIG.attack)]


def test_where_a_trial_runs_is_no_part_of_its_configuration():
    tree = CONFIG.model_dump(mode="json")
    names = {name for path in leaves(tree) for name in path}
    assert names.isdisjoint(field.name for field in fields(Runtime))


# --- cost ---------------------------------------------------------------------------------------------------------------


def test_an_epoch_costs_its_images_times_the_attacks_steps_and_the_weights_own():
    config = TrialConfig()
    assert training_passes(config) == pytest.approx(50_000 * 0.98 * 11.5)
    natural = configure([{"objective.name": "standard", "attack": None}], {})[0]
    assert training_passes(natural) == pytest.approx(50_000 * 0.98 * 1.5)
    few = config.model_copy(update={"data": Data(examples=100)})
    assert training_passes(few) == pytest.approx(100 * 0.98 * 11.5)


STEP = {"eps": 0.1, "step": 0.1}


@pytest.mark.parametrize(
    ("attack", "passes"),
    [
        (Natural(), 1 / 2),
        (Noise(eps=0.1, restarts=6), 3),
        (FGSM(eps=0.1), 1),
        (FGSM(eps=0.1, eot=7), 7),
        (PGD(**STEP, iterations=20), 20),
        (PGD(**STEP, iterations=20, restarts=3, eot=2), 120),
        (CW(**STEP, iterations=20, restarts=3), 60),
        (AvgPGD(**STEP, iterations=20, samples=5), 100),
        (MIM(**STEP, iterations=20, eot=2), 40),
        (DIFGSM(**STEP, iterations=20), 20),
        (MD(eps=0.1, iterations=19, first=5, restarts=3), 2 * 3 * 20),
        (AutoPGD(eps=0.1, iterations=9, restarts=5), 50),
        (AutoPGD(eps=0.1, iterations=9, restarts=5, targets=4), 50),
        (AutoPGD(eps=0.1, iterations=9, loss="targeted-dlr", targets=4), 40),
        (AutoPGD(eps=0.1, iterations=9, loss="targeted-dlr", targets=30, eot=2), 9 * 20),
        (FAB(eps=0.1, iterations=7), 70),
        (FAB(eps=0.1, iterations=7, targets=3, restarts=2), 42),
        (DDN(eps=1.0, iterations=40), 40),
        (DeepFool(eps=0.1, iterations=8), 80),
        (CWL2(eps=1.0, iterations=10, searches=5), 50),
        (BrendelBethge(eps=1.0, iterations=50), 50),
        (Boundary(eps=1.0, iterations=300), 150),
        (Square(eps=0.1, queries=300, restarts=2), 300),
        (NAttack(eps=0.1, queries=900), 450),
        (AutoAttack(eps=0.1, iterations=9, queries=30, targets=3), 10 + 30 + 27 + 15),
        (AutoAttack(eps=0.1, version="rand", iterations=9), 2 * 10 * 20),
        (AsTraining(attack=InfoFeature(**STEP, iterations=7)), 7.5),
        (Transfer(source="0" * 16, attack=PGD(**STEP, iterations=20)), 20),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_an_evaluation_costs_the_attacks_steps(attack, passes):
    assert evaluation_passes(TrialConfig(), attack) == pytest.approx(10_000 * passes)
    assert evaluation_passes(TrialConfig(data=Data(examples=100)), attack) == pytest.approx(100 * passes)


def test_every_attack_has_a_cost():
    names = {*registry.ATTACK.built_ins}
    shown = next(m for m in test_an_evaluation_costs_the_attacks_steps.pytestmark if m.name == "parametrize").args[1]
    assert {attack.name for attack, _ in shown} == names


# --- complete evaluations -----------------------------------------------------------------------------------------------

PGD_COLUMN = STUDY.columns[2]
TOP_2 = replace(PGD_COLUMN, label="PGD, top 2", top_k=2)
HEAD = replace(PGD_COLUMN, label="PGD, module 1", head="1")


def evaluations_of(made, arm, name="pgd"):
    return [e for e in made.trials[arm].evaluations if e.attack.name == name]


def test_what_accuracy_suffices_for_need_not_be_complete():
    assert not any(e.complete for t in tiny_plan().trials for e in t.evaluations)


@pytest.mark.parametrize("column", [TOP_2, HEAD], ids=lambda c: c.label)
@pytest.mark.parametrize("first", [True, False])
def test_a_complete_evaluation_serves_every_column(column, first):
    columns = [NATURAL, PGD_COLUMN]
    columns.insert(1 if first else 2, column)
    made = plan([replace(STUDY, columns=tuple(columns))], "demo", seeds=1)
    found = evaluations_of(made, CAS)
    assert len(found) == 2 * len(BETAS)
    assert all(e.complete for e in found)
    assert all(e.key == evaluation_key(made.trials[CAS].key, e.checkpoint, e.attack, True) for e in found)
    assert not any(e.complete for e in evaluations_of(made, CAS, "natural"))
    # Without modules there is no head 1, and nothing asks for it.
    assert {e.complete for e in evaluations_of(made, VANILLA)} == {column.head == "final"}
    labels = {c.label: (c.head, c.top_k, c.complete) for c in made.manifests[0].columns}
    assert labels[column.label] == (column.head, column.top_k, True)
    assert labels["PGD"] == ("final", 1, False)


def test_a_study_planned_with_one_that_needs_completeness_gets_it_too():
    other = replace(STUDY, name="tiny/other", columns=(TOP_2,))
    for studies in ([STUDY, other], [other, STUDY]):
        found = evaluations_of(plan(studies, "demo", seeds=1), CAS)
        assert len(found) == 2 * len(BETAS)
        assert all(e.complete for e in found)


def test_a_complete_evaluation_in_the_record_answers_an_incomplete_one_and_not_the_other_way():
    whole = plan([replace(STUDY, columns=(TOP_2,))], "demo", seeds=1)
    cheap = plan([replace(STUDY, columns=(PGD_COLUMN,))], "demo", seeds=1)
    for there, wanted, missing in ((whole, cheap, 0), (cheap, whole, 2 * len(BETAS))):
        against = wanted.against({t.key: finished(t) for t in there.trials})
        assert len(against.trials[CAS].missing) == missing


# --- measures -----------------------------------------------------------------------------------------------------------

SOUND = Panel("soundness", {"name": "soundness"})
FIRST = Panel("first", {"name": "sensitivity", "attack": {"name": "fgsm", "eps": Eps(1 / 2), "beta_atk": "inf-1"}})


def test_every_arm_is_measured_on_the_checkpoints_that_are_asked_for():
    made = plan([STUDY], "demo", seeds=2, measures=(SOUND,), checkpoints=("last",))
    for trial in made.trials:
        (found,) = trial.measurements
        assert (found.checkpoint, found.measure) == ("last", Soundness())
        assert found.key == measurement_key(trial.key, "last", Soundness())
    assert made.counts()["measurements_to_run"] == 6
    assert made.counts()["evaluations_to_run"] == tiny_plan(seeds=2).counts()["evaluations_to_run"]
    assert [t.key for t in made.trials] == [t.key for t in tiny_plan(seeds=2).trials]
    (shown,), (hidden,), (plain,) = (
        p.manifests for p in (made, plan([STUDY], "demo", seeds=2, measures=(SOUND,), shown=False), tiny_plan(seeds=2))
    )
    assert hidden.arms == plain.arms
    assert [arm.pictures.keys() for arm in shown.arms] == [{"soundness"}] * 3
    # They stay, as added columns do.
    assert plain.with_added(shown).arms == shown.arms


def test_a_measure_is_of_the_profiles_eps_and_where_it_means_something():
    made = plan([STUDY], "demo", seeds=1, measures=(SOUND, FIRST))
    assert [len(t.measurements) for t in made.trials] == [2, 4, 4]
    attacks = {m.measure.attack for t in made.trials for m in t.measurements if m.measure.name == "sensitivity"}
    assert attacks == {FGSM(eps=0.05, beta_atk="inf-1")}


def test_a_trial_that_studies_share_is_measured_once():
    other = replace(STUDY, name="tiny/other")
    made = plan([STUDY, other], "demo", seeds=1, measures=(SOUND, SOUND))
    assert [len(t.measurements) for t in made.trials] == [2, 2, 2]


def test_what_is_measured_is_not_measured_again():
    made = plan([STUDY], "demo", seeds=1, measures=(SOUND,))
    done = made.against({t.key: finished(t) for t in made.trials})
    assert (done.to_run, done.counts()["measurements_to_run"]) == ((), 0)
    part = record(made, CAS, **{**vars(finished(made.trials[CAS])), "measurements": {made.trials[CAS].measurements[0].key}})
    assert part.trials[CAS].unmeasured == made.trials[CAS].measurements[1:]
    assert part.trials[CAS] in part.to_run
    # A failed trial is left alone, and reported.
    failed = record(made, CAS, **{**vars(finished(made.trials[CAS])), "status": Status.FAILED, "measurements": frozenset()})
    assert failed.failed == (failed.trials[CAS],)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ({"name": "soundnes"}, r"^measure soundnes: name = 'soundnes': allowed: 'activations', "),
        ({"name": "soundness", "eps": 1}, r"^measure soundness: eps = 1: there is no such field$"),
        ({"name": "activations", "position": "block9"}, r"^measure activations: .*'block9' is none of resnet-10"),
    ],
)
def test_a_measure_that_is_none_is_named(measure, message):
    with pytest.raises(BadInput, match=message):
        plan([STUDY], "demo", measures=(Panel("it", measure),))


PGD_20 = PGD(**STEP, iterations=20)


@pytest.mark.parametrize(
    ("measure", "passes"),
    [
        (Soundness(), 3 / 2),
        (ClassGradients(), 10),
        (Activations(), 3 / 2),
        (Dimensions(attack=PGD_20), 21),
        (Sensitivity(attack=PGD_20), 21),
        (Perturbations(attack=PGD_20, reference=FGSM(eps=0.1)), 21),
        (TSNE(attack=PGD_20), 21),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_a_measurement_costs_its_attacks_and_its_own_passes(measure, passes):
    assert measurement_passes(TrialConfig(), measure) == pytest.approx(10_000 * passes)
    assert measurement_passes(TrialConfig(data=Data(examples=100)), measure) == pytest.approx(100 * passes)


def test_every_measure_has_a_cost():
    names = {*registry.MEASURE.built_ins}
    marks = test_a_measurement_costs_its_attacks_and_its_own_passes.pytestmark
    shown = next(m for m in marks if m.name == "parametrize").args[1]
    assert {measure.name for measure, _ in shown} == names


# --- transferred attacks ------------------------------------------------------------------------------------------------


def test_what_an_attack_is_transferred_from_must_be_trained():
    source = "0123456789abcdef"
    column = Column("t", {"name": "transfer", "source": source, "attack": {"name": "fgsm", "eps": 0.1}})
    made = plan([STUDY], "demo", seeds=1, added=(column,))
    assert made.sources == {source}
    assert tiny_plan().sources == frozenset()
    made.check_sources({source: Recorded(Status.FINISHED)})
    for known, status in (({}, "not there"), ({source: Recorded(Status.UNFINISHED)}, "unfinished")):
        with pytest.raises(BadInput, match=f"^attack.source = {source}: must be a finished trial of this storage.*{status}$"):
            made.check_sources(known)


# --- further attacks ----------------------------------------------------------------------------------------------------

ADDED = (Column("pgd(iterations=9)", {"name": "pgd", "eps": Eps(), "step": Eps(1 / 10), "iterations": 9}, None),)


def test_added_columns_are_evaluated_and_shown():
    made = plan([STUDY], "demo", seeds=1, added=ADDED)
    (manifest,) = made.manifests
    assert [(column.label, column.added) for column in manifest.columns] == [
        ("Natural", False),
        ("FGSM", False),
        ("PGD", False),
        ("pgd(iterations=9)", True),
    ]
    cas = next(arm for arm in manifest.arms if arm.labels == ("CAS",))
    assert [read.beta_atk for read in cas.reads["pgd(iterations=9)"]] == ["0", "2", "inf-1"]
    assert {t.key for t in made.trials} == {t.key for t in tiny_plan().trials}
    more = [len(t.evaluations) - len(plain.evaluations) for t, plain in zip(made.trials, tiny_plan().trials, strict=True)]
    assert sorted(more) == [2, 6, 6]  # two checkpoints, and three joint losses where there are modules


def test_added_columns_need_not_be_shown():
    made = plan([STUDY], "demo", seeds=1, added=ADDED, shown=False)
    assert made.manifests[0].columns == tiny_plan().manifests[0].columns
    assert [arm.reads for arm in made.manifests[0].arms] == [arm.reads for arm in tiny_plan().manifests[0].arms]
    assert any(e.label == "pgd(iterations=9)" for e in made.trials[0].evaluations)


def test_a_plan_that_trains_nothing_leaves_the_untrained_out():
    made = replace(record(tiny_plan(), CAS, status=Status.FINISHED, epochs=EPOCHS), train=False)
    assert [t.arms["tiny/table"] for t in made.to_run] == ["CAS"]
    assert [t.arms["tiny/table"] for t in made.untrained] == ["Vanilla", "CIFS"]
    assert made.counts()["trials_to_run"] == 0


def test_what_was_added_before_stays_in_the_manifest():
    before = plan([STUDY], "demo", seeds=1, added=ADDED).manifests[0]
    now = plan([STUDY], "demo", seeds=2).manifests[0].with_added(before)
    assert now.columns == before.columns
    assert [arm.reads for arm in now.arms] == [arm.reads for arm in before.arms]
    assert now.with_added(now) == now
    assert [arm.trials for arm in before.with_added(now).arms] == [arm.trials for arm in now.arms], "fewer seeds drop none"
    other = plan([STUDY], "demo", seeds=1, overrides={"training.lr": 0.5}).manifests[0].with_added(before)
    assert all("pgd(iterations=9)" not in arm.reads for arm in other.arms)


# --- prefixes ---------------------------------------------------------------------------------------------------------

STAGES = choice("stage", "epoch", tuple(Level(str(n), {"training.epochs": n}) for n in (1, 2, 4)), "4")


def staged(**overrides):
    return tiny_plan(studies=(replace(STUDY, factors=(STAGES,)),), **overrides)


def lengths(trials):
    return [trial.config.training.epochs for trial in trials]


def test_the_longest_training_passes_through_the_shorter_ones():
    made = staged(seeds=2)
    assert {key: lengths(through) for key, through in made.prefixes.items()} == {
        trial.key: [1, 2] for trial in made.trials if trial.config.training.epochs == 4
    }
    assert (made.counts()["trials_unique"], made.counts()["trials_to_run"], made.counts()["trials_begun"]) == (6, 2, 4)
    assert lengths(made.ready().trials) == [4, 4]
    assert all(
        beginning.config.seed == trial.config.seed for trial in made.trials for beginning in made.prefixes.get(trial.key, ())
    )


def test_trainings_that_differ_in_more_than_epochs_do_not_begin_each_other():
    slow = choice("rate", "rate", (Level("slow", {"training.lr": 1e-4, "training.epochs": 2}), Level("fast", {})), "fast")
    assert tiny_plan(studies=(replace(STUDY, factors=(slow,)),)).prefixes == {}


@pytest.mark.parametrize("field", [{"training__schedule__name": "cosine"}, {"training__schedule__name": "one-cycle"}])
def test_a_rate_that_knows_its_end_has_no_prefixes(field):
    made = staged(**field)
    assert (made.prefixes, lengths(made.ready().trials)) == ({}, [1, 2, 4])


def test_patience_may_end_the_longer_training_first():
    levels = tuple(Level(str(n), {"training.epochs": n}) for n in (3, 4))
    made = tiny_plan(studies=(replace(STUDY, factors=(replace(STAGES, levels=levels),)),), training__patience=2)
    assert made.prefixes == {}


@pytest.mark.parametrize(
    ("there", "through"),
    [
        ({4: Recorded(Status.FINISHED, epochs=4)}, {2: [1]}),
        ({4: Recorded(Status.UNFINISHED, epochs=1)}, {4: [2]}),
        ({4: Recorded(Status.FAILED, "diverged", epochs=3)}, {2: [1]}),
        ({2: Recorded(Status.FINISHED, epochs=2)}, {4: [1]}),
        ({2: Recorded(Status.UNFINISHED, epochs=1)}, {4: [1, 2]}),
        ({1: Recorded(Status.FAILED, "diverged")}, {4: [2]}),
    ],
)
def test_only_what_is_still_ahead_is_left_on_the_way(there, through):
    made = staged()
    known = {trial.key: there[trial.config.training.epochs] for trial in made.trials if trial.config.training.epochs in there}
    made = made.against(known)
    by_key = {trial.key: trial.config.training.epochs for trial in made.trials}
    assert {by_key[key]: lengths(trials) for key, trials in made.prefixes.items()} == through


def test_the_papers_need_two_fifths_of_the_trainings_that_they_ask_for():
    counts = plan(tuple(STUDIES.values()), "paper").counts()
    assert counts["trials_requested"] >= 2.5 * counts["trials_to_run"]
    assert counts["trials_unique"] == counts["trials_to_run"] + counts["trials_begun"]
