"""Trials of every kind of learning: checkpoints, averages of the weights, early stopping."""

import numpy as np
import pytest
import torch
from torch import nn

from trainables import config
from trainables.attacks import NEVER
from trainables.averaging import Average
from trainables.checkpoint import pack_state, pack_weights, unpack_state, unpack_weights
from trainables.data import Examples
from trainables.models import build_model
from trainables.objectives import build_learner
from trainables.trial import Evaluated, Trial

CPU = config.Runtime(device="cpu")
MODEL = config.Model(name="resnet-10", width=4)
PGD = config.PGD(eps=0.1, step=0.05, iterations=2)


def trial(objective=None, attacked=True, **training):
    settings = {"epochs": 4, "batch_size": 16, "lr": 0.05, "schedule": config.OneCycle()}
    return Trial(
        config.TrialConfig(
            data=config.Data(dataset="digits", examples=64, validation=0.2, crop=1, flip=False),
            model=MODEL,
            objective=objective or config.AT(),
            attack=config.TrainingPGD(eps=0.1, step=0.05, iterations=2) if attacked else None,
            training=config.Training(**(settings | training)),
            selection=config.Selection(attack=PGD),
        ),
        CPU,
    )


TRIALS = {
    "standard": {"objective": config.Standard(), "attacked": False},
    "trades": {"objective": config.TRADES()},
    "pcl": {"objective": config.PCL(warmup=1)},
    "natural pcl": {"objective": config.PCL(warmup=2), "attacked": False},
    "afd": {"objective": config.AFD(hidden=16)},
    "afd critic ema": {"objective": config.AFD(hidden=16, loss="critic"), "averaging": config.EMA()},
    "ema": {"averaging": config.EMA(decay=0.9)},
    "swa": {"averaging": config.SWA(start=2)},
    "late swa": {"averaging": config.SWA(start=3)},
    "patience": {"patience": 2},
}


def timeless(row):
    return {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}


@pytest.mark.parametrize("settings", TRIALS.values(), ids=TRIALS)
def test_a_resumed_trial_is_the_same_trial_bit_for_bit(settings):
    whole, first, second = (trial(**settings) for _ in range(3))
    rows = [whole.step() for _ in range(4)]
    for _ in range(2):
        first.step()
    second.load_state_dict(unpack_state(pack_state(first.state_dict())))
    again = [second.step() for _ in range(2)]
    assert [timeless(r) for r in again] == [timeless(r) for r in rows[2:]]
    assert pack_state(second.state_dict()) == pack_state(whole.state_dict())
    assert pack_weights(second.weights()) == pack_weights(whole.weights())
    assert (second.best_epoch, second.finished) == (whole.best_epoch, whole.finished)


@pytest.mark.parametrize("settings", [TRIALS["ema"], TRIALS["swa"], TRIALS["afd"]])
def test_saved_weights_are_those_that_were_selected(settings):
    ours = trial(
        **settings,
    )
    for _ in range(3):
        row = ours.step()
    examples = ours._splits.validation
    network = ours._build()
    network.load_state_dict(unpack_weights(pack_weights(ours.weights())))
    with torch.no_grad():
        right = network.eval()(examples.images.float() / 255).logits.argmax(1) == examples.labels
    assert right.double().mean().item() == pytest.approx(row["natural_accuracy"])


def test_an_evaluation_uses_the_images_that_its_attack_names():
    some = trial()
    some.step()
    weights = some.weights()
    on_test, held_out = config.Natural(), config.Natural(split="validation")
    assert (len(some.test_labels(on_test)), len(some.test_labels(held_out))) == (64, 13)
    # Natural accuracy behind an epoch is on the same images.
    row = some.step()
    ranks = some.evaluate(held_out, some.weights()).ranks["final"]
    assert (ranks == 0).mean() == row["natural_accuracy"]
    assert len(some.evaluate(on_test, weights).ranks["final"]) == 64


def test_an_evaluation_contains_the_results_of_fewer_steps():
    ranks, broken = np.array([2, 0, 1, 3], np.uint16), np.array([0, NEVER, 5, 9], np.uint16)
    found = Evaluated({"final": ranks}, None, broken)
    less = found.after(5)
    assert less.ranks["final"].tolist() == [2, 0, 1, 0]
    assert less.broken.tolist() == [0, NEVER, 5, NEVER]
    assert [found.after(k).accuracy for k in (0, 4, 5, 8, 9)] == [0.75, 0.75, 0.5, 0.5, 0.25]


def test_without_validation_images_none_are_attacked():
    spec = trial().spec
    update = {"data": spec.data.model_copy(update={"validation": 0.0}), "selection": config.Selection(split="test", attack=PGD)}
    some = Trial(spec.model_copy(update=update), CPU)
    with pytest.raises(ValueError, match=r"attack.split = validation: data.validation = 0 holds nothing out"):
        some.evaluate(config.Natural(split="validation"), some.weights())


def test_weights_are_learnt_by_sgd_with_momentum_and_weight_decay(generator):
    spec = config.TrialConfig(
        data=config.Data(dataset="digits"), model=MODEL, training=config.Training(lr=0.1, momentum=0.5, weight_decay=0.01)
    )
    ours, theirs = build(0).train(), build(0).train()
    learner = build_learner(spec, ours, steps_per_epoch=10)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.5, weight_decay=0.01)
    x, y = torch.rand(16, 1, 8, 8, generator=generator), torch.randint(10, (16,), generator=generator)
    for _ in range(3):
        learner.learn(x, x, y)
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(x).logits, y).backward()
        optimizer.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("averaging", [config.EMA(), config.SWA(start=1)])
def test_averaging_changes_nothing_of_the_training(averaging):
    plain, averaged = trial(), trial(averaging=averaging)
    for _ in range(2):
        rows = plain.step(), averaged.step()
        assert rows[0]["train_loss"] == rows[1]["train_loss"]
    present, network = plain.weights(), averaged.state_dict()["network"]
    assert all(torch.equal(present[n], network[n]) for n in present)
    assert any(not torch.equal(present[n], w) for n, w in averaged.weights().items())


def build(seed):
    return build_model(MODEL, config.NoModule(), config.DATASETS["digits"], seed)


def test_an_exponential_average_is_its_formula():
    average, present = Average(config.EMA(decay=0.3), build(0), seed=0), build(0)
    conv, mean, counter = (w.clone() for w in (present.conv1.weight, present.bn1.running_mean, present.bn1.num_batches_tracked))
    with torch.no_grad():
        for n in range(8):
            present.conv1.weight += 1
            present.bn1.running_mean += 2
            present.bn1.num_batches_tracked += 1
            decay = min(0.3, (1 + n) / (10 + n))
            conv = decay * conv + (1 - decay) * present.conv1.weight
            mean = decay * mean + (1 - decay) * present.bn1.running_mean
            average.after_step(present)
            average.after_epoch(present, n + 1, None)
    torch.testing.assert_close(average.network.conv1.weight, conv)
    torch.testing.assert_close(average.network.bn1.running_mean, mean)
    assert average.network.bn1.num_batches_tracked == counter + 8


def examples(n, generator):
    images = torch.randint(256, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return Examples(images, torch.randint(10, (n,), generator=generator))


def test_swa_is_the_mean_of_the_epochs_from_its_first(generator):
    average, seen = Average(config.SWA(start=3), build(0), seed=0), []
    data = examples(40, generator)
    for epoch in range(1, 6):
        present = build(epoch).train()
        present(data.images.float() / 255)
        average.after_step(present)
        average.after_epoch(present, epoch, data)
        seen.append(present.fc.weight.detach())
        if epoch < 3:
            assert pack_weights(average.network.state_dict()) == pack_weights(present.state_dict())
    torch.testing.assert_close(average.network.fc.weight, torch.stack(seen[2:]).mean(0))


@pytest.mark.parametrize("n", [40, 501])
def test_swas_batch_statistics_are_of_the_training_examples(n, generator):
    """501: not one example alone in a batch, which would have no variance."""
    average, data = Average(config.SWA(start=1), build(0), seed=0), examples(n, generator)
    average.after_epoch(build(1), 1, data)
    bn = average.network.bn1
    with torch.no_grad():
        z = average.network.conv1(data.images.float() / 255)
    torch.testing.assert_close(bn.running_mean, z.mean((0, 2, 3)), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(bn.running_var, z.var((0, 2, 3)), rtol=1e-2, atol=1e-3)
    norms = [m for m in average.network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.momentum == 0.1 and not m.training for m in norms)


def test_training_stops_where_patience_ends():
    ours, robust = trial(patience=2, epochs=30, lr=1e-3), []
    while not ours.finished:
        robust.append(ours.step()["robust_accuracy"])
    assert len(robust) == ours.epoch < 30
    assert ours.best_epoch == ours.epoch - 2 == robust.index(max(robust)) + 1


def test_without_patience_training_ends_with_its_last_epoch():
    ours = trial(epochs=2)
    ends = []
    for _ in range(2):
        ours.step()
        ends.append(ours.finished)
    assert ends == [False, True]


def test_afd_reports_its_discriminator():
    assert 0 <= trial(config.AFD(hidden=8)).step()["discriminator_accuracy"] <= 1
