"""What weighs the losses: confidence, the two tasks of a rationale, temperatures over time, and maps of layers."""

import pytest
import torch

from distill.layer_maps import by_hand, last, layer_map, middle, uniform
from distill.losses.confidence import smooth_weights, threshold_weights
from distill.losses.two_task import two_task
from distill.schedules import SCHEDULES, temperature_at

LABELS = torch.tensor([0.9, 0.51, 0.5, 0.49, 0.01], dtype=torch.float64).log()


def test_doubt_moves_weight_to_the_hard_loss() -> None:
    made = threshold_weights(LABELS, hard=0.4, soft=0.6, boost=0.5)
    torch.testing.assert_close(made.hard_N, torch.tensor([0.4, 0.4, 0.4, 0.7, 0.7], dtype=torch.float64))
    torch.testing.assert_close(made.hard_N + made.soft_N, torch.ones(5, dtype=torch.float64))
    all_of_it = threshold_weights(LABELS, boost=1.0)
    torch.testing.assert_close(all_of_it.soft_N[-1], torch.tensor(0.0, dtype=torch.float64))


def test_the_smooth_form_is_half_at_the_threshold_and_becomes_the_step() -> None:
    made = smooth_weights(LABELS)
    assert (made.hard_N.diff() > 0).all()
    assert float(made.hard_N[2]) == pytest.approx(0.5 + 0.5 * 0.5 * 0.5)
    torch.testing.assert_close(made.hard_N + made.soft_N, torch.ones(5, dtype=torch.float64))
    chosen = torch.tensor([0, 1, 3, 4])
    sharp, step = smooth_weights(LABELS, width=1e-4), threshold_weights(LABELS)
    torch.testing.assert_close(sharp.hard_N[chosen], step.hard_N[chosen])
    assert smooth_weights(LABELS.bfloat16()).hard_N.dtype == torch.float32
    assert smooth_weights(torch.tensor([float("-inf")])).hard_N.isfinite().all()


def test_confidence_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"boost must be in \[0, 1\], not 2"):
        threshold_weights(LABELS, boost=2)
    with pytest.raises(ValueError, match=r"threshold must be in \[0, 1\], not -1"):
        smooth_weights(LABELS, threshold=-1)
    with pytest.raises(ValueError, match="width must be above 0"):
        smooth_weights(LABELS, width=0)
    with pytest.raises(ValueError, match="floating point"):
        threshold_weights(LABELS.long())


def test_two_tasks_have_a_mean_each() -> None:
    nats = torch.tensor([1.0, 3.0, 10.0, 20.0, 30.0], dtype=torch.float64).requires_grad_()
    rationale = torch.tensor([False, False, True, True, True])
    made = two_task(nats, rationale, explain_weight=0.5)
    assert [float(made.total), float(made.predict), float(made.explain)] == [12.0, 2.0, 20.0]
    (gradient,) = torch.autograd.grad(made.total, nats)
    torch.testing.assert_close(gradient, torch.tensor([3, 3, 1, 1, 1], dtype=torch.float64) / 6)
    assert torch.autograd.gradcheck(lambda n: two_task(n, rationale).total, (nats,))


def test_a_batch_of_one_task_alone() -> None:
    nats = torch.tensor([1.0, 3.0]).requires_grad_()
    answers = two_task(nats, torch.tensor([False, False]))
    assert [float(answers.total), float(answers.explain)] == [2.0, 0.0]
    assert float(two_task(nats, torch.tensor([True, True])).total) == 2.0
    unread = two_task(torch.tensor([1.0, float("nan")]), torch.tensor([False, True]), explain_weight=0)
    assert float(unread.predict) == 1.0
    with pytest.raises(ValueError, match="must be bool"):
        two_task(nats, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"must both be \(N,\)"):
        two_task(nats, torch.tensor([True]))
    with pytest.raises(ValueError, match="not be negative"):
        two_task(nats, torch.tensor([True, False]), explain_weight=-1)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_temperature_begins_warm_and_never_rises(schedule: str) -> None:
    curve = [temperature_at(step, 9, schedule=schedule) for step in range(9)]
    assert curve[0] == 5
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] == pytest.approx(5 if schedule == "constant" else 1)
    assert temperature_at(20, 9, schedule=schedule) == curve[-1]
    assert temperature_at(0, 1, schedule=schedule) == 5


def test_temperature_by_hand() -> None:
    assert temperature_at(2, 9, schedule="linear") == pytest.approx(4)
    assert temperature_at(4, 9, schedule="cosine") == pytest.approx(3)
    assert temperature_at(2, 9, schedule="cosine") == pytest.approx(1 + 4 * (1 + 2**-0.5) / 2)
    assert temperature_at(8, 9, schedule="linear", start=2, end=1.5) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="choose one of constant, linear, cosine"):
        temperature_at(0, 9, schedule="step")
    with pytest.raises(ValueError, match="positive numbers, not 0"):
        temperature_at(0, 9, start=0)
    with pytest.raises(ValueError, match="step -1 of 9"):
        temperature_at(-1, 9)


def test_uniform_map_ends_at_the_top() -> None:
    assert uniform(6, 12) == ((1, 2), (2, 4), (3, 6), (4, 8), (5, 10), (6, 12))
    assert uniform(3, 3) == ((1, 1), (2, 2), (3, 3))
    assert uniform(4, 2) == ((1, 1), (2, 1), (3, 2), (4, 2))
    assert uniform(1, 30) == ((1, 30),)
    for student, teacher in ((7, 24), (24, 28), (11, 12)):
        taught = [layer for _, layer in uniform(student, teacher)]
        assert taught == sorted(set(taught))  # none twice where the teacher is deeper
        assert taught[-1] == teacher


def test_other_maps() -> None:
    assert last(6, 12) == tuple((i, i + 6) for i in range(1, 7))
    assert last(6, 12, 2) == ((5, 11), (6, 12))
    assert last(12, 6, 1) == ((12, 6),)
    assert middle(6, 12) == ((3, 6), (4, 8))
    assert middle(6, 12, 1) == ((3, 6),)
    assert middle(2, 4) == ((1, 2),)
    assert by_hand("L1-L1, L3-L2, L6-L3, L12-L6", 6, 12) == ((1, 1), (2, 3), (3, 6), (6, 12))


def test_maps_from_a_setting() -> None:
    assert layer_map("uniform", 6, 12) == uniform(6, 12)
    assert layer_map("last:2", 6, 12) == last(6, 12, 2)
    assert layer_map("middle", 6, 12) == middle(6, 12)
    assert layer_map("L12-L6", 6, 12) == ((6, 12),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("L6-L12", "the teacher has 12 layers and the student 6"),
        ("L13-L6", "names a layer that does not exist"),
        ("6-12", "write teacher and student as L12-L6"),
        ("uniform:2", "write teacher and student as L12-L6"),
        ("L1-L1,L1-L1", "is there twice"),
        ("last:many", "must be a number"),
        ("last:7", "between 1 and 6"),
        ("middle:0", "between 1 and 6"),
    ],
)
def test_maps_that_cannot_be_made(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        layer_map(text, 6, 12)


def test_maps_need_layers() -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        uniform(0, 12)
