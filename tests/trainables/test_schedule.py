import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from trainables.config import Cosine, MultiStep, OneCycle, Training
from trainables.schedule import make_schedule

EPOCHS, STEPS = 8, 5


def optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)


def rates(schedule, epochs=EPOCHS, steps=STEPS, resume_at=None):
    """The learning rate of each batch; with a fresh optimizer and schedule from their saved states before ``resume_at``."""
    training = Training(epochs=epochs, lr=0.4, schedule=schedule)
    ours = optimizer()
    scheduler = make_schedule(training, ours, steps)
    found = []
    for step in range(epochs * steps):
        if step == resume_at:
            saved = ours.state_dict(), scheduler.state_dict()
            ours = optimizer()
            scheduler = make_schedule(training, ours, steps)
            ours.load_state_dict(saved[0])
            scheduler.load_state_dict(saved[1])
        found.append(ours.param_groups[0]["lr"])
        ours.step()
        scheduler.step()
    assert ours.param_groups[0]["lr"] >= 0  # after the last one too
    return found


def test_milestones_count_epochs_from_1():
    expected = [0.4] * 2 * STEPS + [0.2] * 3 * STEPS + [0.1] * 3 * STEPS
    assert rates(MultiStep(milestones=(3, 6), gamma=(0.5,))) == pytest.approx(expected)


def test_each_milestone_has_its_factor():
    """FAT's public code: 0.1, 0.01 and 0.005 of the first rate."""
    expected = [0.4] * STEPS + [0.04] * 2 * STEPS + [0.004] * 3 * STEPS + [0.002] * 2 * STEPS
    assert rates(MultiStep(milestones=(2, 4, 7), gamma=(0.1, 0.1, 0.5))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "reference"),
    [
        (MultiStep(milestones=(2, 4, 5)), lambda o: MultiStepLR(o, [1, 3, 4])),
        (Cosine(), lambda o: CosineAnnealingLR(o, EPOCHS)),
    ],
)
def test_epochs_have_torchs_rates(schedule, reference):
    ours = optimizer()
    theirs = reference(ours)
    expected = []
    for _ in range(EPOCHS):
        expected += [ours.param_groups[0]["lr"]] * STEPS
        ours.step()
        theirs.step()
    assert rates(schedule) == pytest.approx(expected)


@pytest.mark.parametrize("peak", [0.25, 0.4, 0.5])
def test_one_cycle_is_two_lines(peak):
    found = rates(OneCycle(peak=peak))
    total = EPOCHS * STEPS
    up = round(peak * total)
    assert found == pytest.approx(
        [0.4 * (i + 0.5) / up for i in range(up)] + [0.4 * (total - i - 0.5) / (total - up) for i in range(up, total)]
    )
    assert 0 < min(found) <= max(found) < 0.4
    assert math.fsum(found) == pytest.approx(0.4 * total / 2)  # half the peak on average, for every position of the peak


def test_one_batch_is_enough():
    assert rates(OneCycle(), epochs=1, steps=1) == pytest.approx([0.4 * 0.5 / 0.6])


@pytest.mark.parametrize("schedule", [MultiStep(milestones=(3, 6)), Cosine(), OneCycle()], ids=lambda s: s.name)
@pytest.mark.parametrize("step", [1, 12, 15, 39])
def test_a_schedule_goes_on_where_it_stopped_bit_for_bit(schedule, step):
    assert rates(schedule, resume_at=step) == rates(schedule)
