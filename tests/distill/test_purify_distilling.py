"""Rationales distilled on a tiny student: what each choice teaches, and a policy that learns in turn with it."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_trainer import tiny_student

from distill.config import DistillConfig
from distill.dataset import Example
from distill.purify.distilling import Alternating, Fixed, Material, distil, rows_of
from distill.purify.protocol import Case
from distill.purify.reinforce import Policy

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = DistillConfig(lora_rank=4, learning_rate=1e-2, schedule="constant", rationale="two-task")
TEACHERS = ("ann", "bob", "eve")
EACH = 8
PREFIX = (1, 2)
REASON_TOKENS = 6


def example(*tokens: int, task: str) -> Example:
    """A question of two tokens, then what is learnt."""
    return Example("c", tokens, (False, False, *[True] * (len(tokens) - 2)), (), "", task=task)


def planted(seed: int) -> tuple[list[Material], list[Case], list[str]]:
    """Three topics; in each one teacher always gives the same reason, the others make one up every time.

    Nothing in the case tells who is right: only what the student can learn does.
    """
    draws, drawn = random.Random(seed), np.random.default_rng(seed)
    materials, cases, best = [], [], []
    for number in range(len(TEACHERS) * EACH):
        topic = number % len(TEACHERS)
        reasons = {
            name: [10 + 8 * topic + place for place in range(REASON_TOKENS)]
            if place_of == topic
            else [draws.randrange(8, 64) for _ in range(REASON_TOKENS)]
            for place_of, name in enumerate(TEACHERS)
        }
        question = (40 + topic, draws.randrange(8, 64))
        materials.append(
            Material(
                example(*question, 50 + topic, task="predict"),
                {name: example(7, question[0], *reason, task="explain") for name, reason in reasons.items()},
            )
        )
        vector = np.eye(8)[topic] + 0.3 * drawn.normal(size=8)
        cases.append(
            Case(
                str(number),
                vector / np.linalg.norm(vector),
                TEACHERS,
                tuple(map(str, reasons.values())),
                np.zeros((len(TEACHERS), 8)),
                (None,) * len(TEACHERS),
            )
        )
        best.append(TEACHERS[topic])
    return materials, cases, best


def share_found(policy: Policy, cases: Sequence[Case], best: Sequence[str]) -> float:
    return float(np.mean([policy.purify(case).teacher == name for case, name in zip(cases, best, strict=True)]))


def test_a_policy_and_a_student_trained_in_turn_find_the_teacher_of_each_topic(tmp_path: Path) -> None:
    materials, cases, _best = planted(1)
    _others, unseen, best = planted(2)
    policy = Policy(TEACHERS, 8, seed=3)
    assert share_found(policy, unseen, best) < 0.5
    rows = rows_of(len(materials), 4, 40, seed=1)
    losses: list[float] = []
    assert distil(
        tiny_student(CONFIG),
        materials,
        rows,
        PREFIX,
        Alternating(policy, cases),
        CONFIG,
        tmp_path,
        on_step=lambda _step, loss: losses.append(loss),
    )
    assert len(losses) == len(rows)
    assert share_found(policy, unseen, best) >= 0.9
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])


class Recording(Fixed):
    """A fixed choice that keeps what it is told."""

    def __init__(self, chosen: Sequence[tuple[str, ...]]) -> None:
        super().__init__(chosen)
        self.told: dict[int, float] = {}

    def heard(self, questions: Sequence[int], chosen: Sequence[tuple[str, ...]], rewards: Sequence[float]) -> None:
        assert list(chosen) == self.choose(questions)
        self.told |= dict(zip(questions, rewards, strict=True))


def test_rewards_are_the_losses_of_each_question_by_itself(tmp_path: Path) -> None:
    materials = planted(1)[0][:4]
    still = DistillConfig(lora_rank=4, learning_rate=1e-9, rationale="two-task", explain_weight=0.5)

    def rewards(chosen: Sequence[tuple[str, ...]], a_row: int) -> tuple[dict[int, float], list[float]]:
        selection, losses = Recording(chosen), []
        folder = tmp_path / f"{a_row} {chosen}"
        rows = rows_of(4, a_row, 1, seed=1)
        distil(
            tiny_student(still),
            materials,
            rows,
            PREFIX,
            selection,
            still,
            folder,
            on_step=lambda _step, loss: losses.append(loss),
        )
        return selection.told, losses

    alone, losses = rewards([("ann",)] * 4, 1)
    together, _losses = rewards([("ann",)] * 4, 4)
    # Alone in its row, a question's loss is the row's; together with others it stays its own.
    assert sorted(alone.values()) == pytest.approx(sorted(-loss for loss in losses), rel=1e-3)
    assert together == pytest.approx(alone, rel=1e-3)
    plain, _losses = rewards([()] * 4, 1)
    assert all(plain[question] > alone[question] for question in plain), "without reasons only the answer counts"
    mixed, _losses = rewards([TEACHERS] * 4, 2)
    each = [rewards([(name,)] * 4, 4)[0] for name in TEACHERS]
    assert mixed == pytest.approx({q: np.mean([one[q] for one in each]) for q in mixed}, rel=1e-3)


def test_every_question_comes_once_an_epoch_in_another_order() -> None:
    rows = rows_of(10, 4, 2, seed=5)
    epochs = [[q for row in rows if row.epoch == epoch for q in row.examples] for epoch in (0, 1)]
    assert [sorted(order) for order in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]
    assert rows == rows_of(10, 4, 2, seed=5)
    assert rows != rows_of(10, 4, 2, seed=6)


def test_told_to_stop_it_says_so(tmp_path: Path) -> None:
    materials, cases, _best = planted(1)
    steps: list[int] = []
    whole = distil(
        tiny_student(CONFIG),
        materials,
        rows_of(len(materials), 4, 2, seed=1),
        PREFIX,
        Alternating(Policy(TEACHERS, 8), cases),
        CONFIG,
        tmp_path,
        on_step=lambda step, _loss: steps.append(step),
        should_stop=lambda: len(steps) >= 3,
    )
    assert not whole
    assert len(steps) in (3, 4)
