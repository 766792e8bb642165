"""Estimates of a plan's duration: throughput from the record, and hours from throughput."""

from dataclasses import replace

import pytest

from analysis.record.schema import Status
from orchestrator.cost.calibration import calibrate
from orchestrator.cost.estimate import Estimate, commonest, estimate, to_be_run
from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, selection_passes, training_passes
from orchestrator.cost.recorded import recorded
from orchestrator.cost.throughput import Throughput, Timing, evaluating, measuring, network, training
from orchestrator.errors import Unavailable
from orchestrator.planning.expansion import plan
from orchestrator.record.recorded import Recorded
from search_spaces.column import Column
from search_spaces.factor import Level, choice
from search_spaces.profiles import pgd
from search_spaces.settings import Eps
from search_spaces.study import Panel
from tests.support.tiny_study import EPOCHS, RUNTIME, STUDY, finish, jobs, tiny_plan
from trainables.config import SWA, Data, Runtime, TrialConfig
from trainables.config.terms.passes import FORWARD

VANILLA, CAS, CIFS = 0, 1, 2
FP32 = training("fp32")


def timed(config, *seconds, work=FP32, device="cpu"):
    return tuple(Timing(device, work, network(config), one) for one in seconds)


def known(*parts):
    return Throughput("cpu", "2 trials of this storage on cpu", sum(parts, ()))


@pytest.fixture
def vanilla():
    return tiny_plan().trials[VANILLA].config


# --- seconds a pass -----------------------------------------------------------------------------------------------------


def test_a_pass_takes_the_median_of_those_of_the_same_network(vanilla):
    cas = tiny_plan().trials[CAS].config
    there = known(timed(vanilla, 1.0, 2.0, 9.0), timed(cas, 100.0))
    assert there.seconds(vanilla, FP32) == 2.0
    assert there.seconds(vanilla.model_copy(update={"seed": 7}), FP32) == 2.0
    assert there.seconds(cas, FP32) == 100.0


def test_a_pass_of_another_network_goes_by_its_multiply_adds(vanilla):
    wide = vanilla.model_copy(update={"model": vanilla.model.model_copy(update={"width": 12})})
    ratio = multiply_adds(wide.model, wide.module, wide.data.info) / multiply_adds(
        vanilla.model, vanilla.module, vanilla.data.info
    )
    assert 8 < ratio < 10
    assert known(timed(vanilla, 2.0)).seconds(wide, FP32) == pytest.approx(2 * ratio)


def test_timings_of_small_networks_do_not_apply_to_much_larger_ones(vanilla):
    small, large = vanilla, TrialConfig()
    assert known(timed(small, 2.0)).seconds(large, FP32) is None
    assert known(timed(large, 2.0)).seconds(small, FP32) < 0.01
    # Nor do they change the estimate of a comparable one.
    wide = large.model_copy(update={"model": large.model.model_copy(update={"width": 32})})
    assert known(timed(small, 2.0, 2.0), timed(wide, 2.0)).seconds(large, FP32) == pytest.approx(8.0, rel=0.02)


def test_precisions_and_attacks_are_different_work(vanilla):
    there = known(timed(vanilla, 2.0), timed(vanilla, 1.0, work=evaluating("pgd")))
    assert there.seconds(vanilla, training("bf16")) is None
    assert there.seconds(vanilla, evaluating("pgd"), FP32) == 1.0
    assert there.seconds(vanilla, evaluating("fgsm"), FP32) == 2.0
    assert there.seconds(vanilla, evaluating("pgd", complete=True), FP32) == 2.0


# --- throughput from the record -----------------------------------------------------------------------------------------


def write(store, trial, seconds, device="cpu", evaluations=()):
    """Record a trial with epochs of so many ``seconds``, and ``evaluations`` as (attack, checkpoint, seconds)."""
    row = {
        "trial": trial.key,
        "status": Status.FINISHED,
        "reason": "",
        "ending": None,
        "epochs": len(seconds),
        "best_epoch": 1,
        "seed": 0,
    }
    times = {"seconds": sum(seconds), "created": None, "updated": None}
    history = [{"epoch": i, "seconds": s} for i, s in enumerate(seconds, 1)]
    config = trial.config.model_dump_json()
    store.write_trial({**row, **times, "config": config, "device": device, "versions": "{}", "history": history})
    store.write_evaluations(
        trial.key,
        "part",
        [
            {
                "evaluation": f"{i}",
                "trial": trial.key,
                "checkpoint": checkpoint,
                "attack_name": attack.name,
                "attack_spec": attack.model_dump_json(),
                "head": "final",
                "complete": False,
                "accuracy": 1.0,
                "ranks": [0],
                "seconds": seconds,
            }
            for i, (attack, checkpoint, seconds) in enumerate(evaluations)
        ],
    )


def test_the_throughput_is_the_median_of_recorded_epochs(store):
    trial = tiny_plan().trials[VANILLA]
    write(store, trial, [50.0, 3.0, 3.5])
    found = recorded(store)
    assert (found.device, found.source) == ("cpu", "1 trial of this storage on cpu")
    assert found.seconds(trial.config, FP32) == pytest.approx(3.5 / training_passes(trial.config))


def test_of_several_devices_that_of_most_trials_counts(store):
    one, two, three = tiny_plan().trials
    write(store, one, [1.0], device="NVIDIA A100")
    write(store, two, [100.0])
    write(store, three, [1.0], device="NVIDIA A100")
    found = recorded(store)
    assert (found.device, found.source) == ("NVIDIA A100", "2 trials of this storage on NVIDIA A100")
    assert {one.device for one in found.timed} == {"NVIDIA A100"}


def test_a_run_that_covered_several_evaluations_has_the_passes_of_the_longest(store):
    trial = tiny_plan().trials[VANILLA]
    pgd_2 = next(e.attack for e in trial.evaluations if e.attack.name == "pgd")
    short = pgd_2.model_copy(update={"iterations": 1})
    runs = [(short, "last", 6.25), (pgd_2, "last", 6.25), (pgd_2, "best", 6.25)]
    write(store, trial, [1.0], evaluations=runs)
    (run,) = [one for one in recorded(store).timed if one.work == evaluating("pgd")]
    assert run.seconds == pytest.approx(6.25 / evaluation_passes(trial.config, pgd_2))


def test_trials_without_epochs_or_of_another_version_are_ignored(store):
    one, two, _ = tiny_plan().trials
    write(store, one, [])
    assert recorded(store) == Throughput()
    foreign = replace(two, config=two.config.model_copy(update={"model": None}))
    write(store, foreign, [1.0])
    assert recorded(store) == Throughput()


# --- estimates of a plan ------------------------------------------------------------------------------------------------


def test_trainings_cost_their_epochs_and_their_selections(vanilla):
    made = tiny_plan()
    one = replace(made, trials=made.trials[:1])
    found = estimate(one, known(timed(vanilla, 0.5), timed(vanilla, 0.25, work=evaluating("pgd"))))
    epoch = 0.5 * training_passes(vanilla) + 0.25 * selection_passes(vanilla)
    assert found.train == pytest.approx(EPOCHS * epoch / 3600)
    resumed = one.against({one.trials[0].key: Recorded(epochs=2)})
    assert estimate(resumed, known(timed(vanilla, 0.5), timed(vanilla, 0.25, work=evaluating("pgd")))).train == pytest.approx(
        epoch / 3600
    )


def test_swa_sees_every_training_image_once_more(vanilla):
    made = tiny_plan()
    averaged = vanilla.model_copy(update={"training": vanilla.training.model_copy(update={"averaging": SWA(start=2)})})
    plain, more = (
        estimate(replace(made, trials=(replace(made.trials[0], config=config),)), known(timed(vanilla, 3600.0))).train
        for config in (vanilla, averaged)
    )
    assert more - plain == pytest.approx(2 * 64 * FORWARD)


def test_evaluations_cost_what_the_same_attack_took_or_otherwise_their_passes(vanilla):
    made = tiny_plan()
    trained = replace(made, trials=made.trials[:1]).against({made.trials[0].key: Recorded(Status.FINISHED, epochs=EPOCHS)})
    there = known(timed(vanilla, 1.0), timed(vanilla, 0.125, work=evaluating("pgd")))
    assert estimate(made, there).source == "2 trials of this storage on cpu, other networks by multiply-adds"
    cost = sum(
        evaluation_passes(vanilla, e.attack) * (0.125 if e.attack.name == "pgd" else 1) for e in trained.trials[0].missing
    )
    assert estimate(made, there).source == "2 trials of this storage on cpu, other networks by multiply-adds"
    assert estimate(trained, there) == Estimate(0.0, pytest.approx(cost / 3600), 0.0, "cpu", there.source)


def test_the_beginning_of_a_longer_attack_costs_nothing():
    longer = Column("PGD-5", {**pgd(5, step=Eps(1 / 2))}, beta_atk=None)
    made = plan([STUDY], "demo", seeds=1, added=(longer,))
    trial = made.trials[VANILLA]
    assert sorted(e.label for e in trial.missing if e not in to_be_run(trial)) == ["PGD", "PGD"]
    there = known(timed(trial.config, 1.0))
    alone = replace(STUDY, columns=(*STUDY.columns[:2], longer))
    whole = estimate(replace(made, trials=(trial,)), there).evaluate
    assert whole == estimate(replace(made, trials=plan([alone], "demo", seeds=1).trials[:1]), there).evaluate
    # If the longer one is recorded, the shorter one is missing only if it was not recorded with it.
    long_done = frozenset(e.key for e in trial.evaluations if e.label == "PGD-5")
    rest = replace(trial, recorded=Recorded(evaluations=long_done))
    assert [e.label for e in to_be_run(rest)].count("PGD") == 2


@pytest.mark.parametrize(("module", "free"), [("sap", 0), ("fsr", 2)])
def test_with_random_predictions_every_attack_is_run(module, free):
    longer = Column("PGD-5", {**pgd(5, step=Eps(1 / 2))}, beta_atk="0")
    trial = plan([STUDY], "demo", seeds=1, added=(longer,)).trials[VANILLA]
    modules = plan([STUDY], "demo", seeds=1, overrides={"module.name": module}).trials[0].config.module
    trial = replace(trial, config=trial.config.model_copy(update={"module": modules}))
    assert len(trial.missing) - len(to_be_run(trial)) == free


def test_every_complete_evaluation_is_run():
    columns = (
        Column("PGD-5", pgd(5, step=Eps(1 / 2)), beta_atk="0"),
        Column("top 2", pgd(2, step=Eps(1 / 2)), beta_atk="0", top_k=2),
    )
    trial = plan([replace(STUDY, columns=columns)], "demo", seeds=1).trials[VANILLA]
    assert to_be_run(trial) == list(trial.missing)


def test_measurements_cost_their_passes(vanilla):
    made = plan([STUDY], "demo", seeds=1, measures=(Panel("soundness", {"name": "soundness"}),))
    one = replace(made, trials=made.trials[:1])
    there = known(timed(vanilla, 1.0))
    assert estimate(one, there).measure == pytest.approx(2 * 64 * 1.5 / 3600)
    faster = known(timed(vanilla, 1.0), timed(vanilla, 0.5, work=measuring("soundness")))
    assert estimate(one, faster).measure == pytest.approx(64 * 1.5 / 3600)


def test_an_estimate_as_text():
    found = estimate(tiny_plan(), Throughput())
    assert found.as_json() == {
        "device_hours": {"train": None, "evaluate": None, "measure": 0.0, "total": None},
        "device": None,
        "throughput_from": None,
    }
    assert str(found) == "device-hours: unknown: no comparable training is in this storage; `plan --calibrate` times one here"
    assert str(Estimate(1.5, 20.0, 0.0, "cpu", "calibration on cpu")) == (
        "about 22 device-hours on cpu (training 1.5, evaluations 20; from calibration on cpu)"
    )
    assert str(Estimate(0.0, 0.0, 0.0, None, None)) == "about 0 device-hours"


def test_timings_in_bf16_do_not_apply_to_evaluations(vanilla):
    found = estimate(tiny_plan(training__precision="bf16"), known(timed(vanilla, 1.0, work=training("bf16"))))
    assert (found.train, found.evaluate, found.total) == (None, None, None)


# --- real trials --------------------------------------------------------------------------------------------------------


def test_the_estimate_from_real_trials_is_what_they_took(store):
    for job in jobs(tiny_plan(), store):
        finish(job)
    found = recorded(store)
    assert found.source == "3 trials of this storage on cpu"
    again = estimate(tiny_plan(), found)
    took = sum(store.read_trial(trial.key)["seconds"] for trial in tiny_plan().trials) / 3600
    # A wide margin: epochs take hundredths of a second, kernels are chosen in the first, and the machine is busy.
    assert took / 10 < again.train < took * 10
    assert again.evaluate > 0
    assert estimate(tiny_plan().against(store.index()), found).total == 0


def test_evaluating_on_another_device_keeps_the_device_of_the_training(store, job):
    from orchestrator.execution.work import Work

    finish(replace(job, evaluations=()))
    row = store.read_trial(job.key)
    store.write_trial({**row, "device": "NVIDIA A100"})
    assert Work(job).advance().seconds > 0
    assert store.read_trial(job.key)["device"] == "NVIDIA A100"


# --- calibration --------------------------------------------------------------------------------------------------------


def test_a_calibration_times_the_commonest_training():
    made = tiny_plan(seeds=2, training__precision="bf16")
    config = commonest(made)
    assert config == made.trials[VANILLA].config
    found = calibrate(config, RUNTIME)
    assert (found.device, found.source) == ("cpu", "calibration on cpu")
    assert [one.work for one in found.timed] == [training("bf16"), FP32]
    assert all(one.seconds > 0 for one in found.timed)
    assert estimate(made, found).total > 0
    assert commonest(replace(made, trials=())) is None


def test_a_calibration_without_its_data_is_unavailable(tmp_path):
    config = TrialConfig(data=Data(dataset="cifar10"))
    with pytest.raises(Unavailable, match=r"^--calibrate trains on cifar10: "):
        calibrate(config, Runtime(device="cpu", threads=1, data_dir=str(tmp_path)))


def test_prefixes_take_no_training_time(vanilla):
    stages = choice("stage", "epoch", tuple(Level(str(n), {"training.epochs": n}) for n in (1, 2, EPOCHS)), str(EPOCHS))
    study = replace(STUDY, factors=(stages,))
    there = known(timed(vanilla, 1.0))
    alone = estimate(tiny_plan(studies=(replace(study, factors=(stages.only(str(EPOCHS)),)),)), there)
    every = estimate(tiny_plan(studies=(study,)), there)
    assert every.train == alone.train
    assert every.evaluate == pytest.approx(3 * alone.evaluate)
