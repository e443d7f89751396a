"""Distils chosen rationales: each question is answered, and explained as its choice says; the choice may learn beside.

    L = L_predict + lambda * L_explain(chosen rationales)

lambda is ``explain_weight`` of the settings. Several rationales of a question share it evenly by their tokens (TinyLLM,
arXiv 2402.04616); one is purified (arXiv 2602.01064); none is fine-tuning. One row is one step, as in a retraining.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from distill.config import DistillConfig
from distill.dataset import Example
from distill.purify.protocol import Case
from distill.purify.reinforce import Policy
from distill.row_signals import ExampleSignals
from distill.rows import IGNORED, Row, pack
from distill.student import Student
from distill.trainer import KDTrainer, RowCollator, Watch, trainer_of

NO_CHECKPOINTS_S = 1e9


@dataclass(frozen=True, slots=True)
class Material:
    """One question to learn: its answer as an example, and each rationale (by its teacher, or ``merged``) as one."""

    predict: Example
    explain: Mapping[str, Example]


class Selection(Protocol):
    """Whose rationales a question is explained by; asked when a row is loaded, told when the student has learnt it."""

    def choose(self, questions: Sequence[int]) -> list[tuple[str, ...]]:
        """For each of these questions (by place) the teachers chosen, () for none."""
        ...

    def heard(self, questions: Sequence[int], chosen: Sequence[tuple[str, ...]], rewards: Sequence[float]) -> None:
        """-(L_predict + lambda * L_explain) of each question, nats a token, as the student had it before the step."""
        ...


class Fixed:
    """A choice made before the training."""

    def __init__(self, chosen: Sequence[tuple[str, ...]]) -> None:
        self._chosen = chosen

    def choose(self, questions: Sequence[int]) -> list[tuple[str, ...]]:
        """See ``Selection.choose``."""
        return [self._chosen[question] for question in questions]

    def heard(self, questions: Sequence[int], chosen: Sequence[tuple[str, ...]], rewards: Sequence[float]) -> None:
        """It does not learn."""


class Alternating:
    """The policy draws a teacher a question, the student learns a row of them, and its losses reward the draw.

    So both are trained in turn, row by row. A row is loaded while the one before it is learnt: its draw is by the
    policy of one row ago.
    """

    def __init__(self, policy: Policy, cases: Sequence[Case]) -> None:
        self.policy, self._cases = policy, cases

    def choose(self, questions: Sequence[int]) -> list[tuple[str, ...]]:
        """See ``Selection.choose``."""
        return [(name,) for name in self.policy.choose([self._cases[question] for question in questions])]

    def heard(self, questions: Sequence[int], chosen: Sequence[tuple[str, ...]], rewards: Sequence[float]) -> None:
        """One step of REINFORCE on the rewards."""
        self.policy.update([self._cases[q] for q in questions], [name for (name,) in chosen], rewards)


class _Loader(RowCollator):
    """Fills each row with what the selection chooses when it is loaded; a row's ``examples`` hold its questions."""

    def __init__(
        self, rows: Sequence[Row], materials: Sequence[Material], prefix: Sequence[int], selection: Selection
    ) -> None:
        self._selection, self._plan = selection, rows
        self.chosen: dict[int, list[tuple[str, ...]]] = {}
        examples: list[Example] = []
        self.place: dict[tuple[int, str], int] = {}
        for question, material in enumerate(materials):
            for name, example in (("", material.predict), *material.explain.items()):
                self.place[question, name] = len(examples)
                examples.append(example)
        self._filled = list(rows)
        super().__init__(self._filled, examples, [prefix])

    def signals(self) -> dict[int, ExampleSignals]:
        """Which examples are rationales: each task has a mean of its own (see ``two_task``)."""
        return {
            self.place[key]: ExampleSignals(_labels(self.examples[self.place[key]]), is_rationale=bool(key[1]))
            for key in self.place
        }

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        number = items[0]["row"]
        questions = self._plan[number].examples
        self.chosen[number] = self._selection.choose(questions)
        names = zip(questions, self.chosen[number], strict=True)
        places = tuple(self.place[question, name] for question, own in names for name in ("", *own))
        self._filled[number] = Row(0, places, self._plan[number].epoch)
        return super().__call__(items)

    def rewards(self, number: int, nats: Sequence[float], explain_weight: float) -> list[float]:
        """Each question's -(L_predict + lambda * L_explain) from the cross-entropy at the row's labels."""
        found, start = [], 0
        for question, own in zip(self._plan[number].examples, self.chosen[number], strict=True):
            means = []
            for name in ("", *own):
                size = _labels(self.examples[self.place[question, name]])
                means.append(sum(nats[start : start + size]) / size)
                start += size
            explained = sum(means[1:]) / len(own) if own else 0.0
            found.append(-(means[0] + explain_weight * explained))
        return found


def rows_of(questions: int, a_row: int, epochs: int, seed: int) -> list[Row]:
    """Every question once an epoch in an order by the seed, ``a_row`` in a row; the examples are question numbers."""
    rows = []
    for epoch in range(epochs):
        order = list(range(questions))
        random.Random(f"{seed} {epoch}").shuffle(order)  # noqa: S311 - order of the data, nothing secret
        rows += [Row(0, tuple(order[start : start + a_row]), epoch) for start in range(0, questions, a_row)]
    return rows


def distil(
    student: Student,
    materials: Sequence[Material],
    rows: Sequence[Row],
    prefix: Sequence[int],
    selection: Selection,
    config: DistillConfig,
    folder: Path,
    *,
    on_step: Callable[[int, float], None] = lambda _step, _loss: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train the student on all rows (see ``rows_of``) behind one system prompt; False when it was stopped before.

    ``on_step`` is told each step and its loss. Nothing is checkpointed: a training that was stopped begins anew.
    """
    loader = _Loader(rows, materials, prefix, selection)

    def stepped(step: int, loss: float, _step_s: float) -> None:
        rewards = loader.rewards(step - 1, trainer.label_nats_N.tolist(), config.explain_weight)
        selection.heard(rows[step - 1].examples, loader.chosen.pop(step - 1), rewards)
        on_step(step, loss)

    watch = Watch(NO_CHECKPOINTS_S, stepped, should_stop)
    trainer = trainer_of(KDTrainer, student, rows, loader, config, folder, watch, loader.signals())
    trainer.train()
    return not watch.cancelled


def _labels(example: Example) -> int:
    """How many labels the example has in a row."""
    return sum(label != IGNORED for label in pack((), [example]).labels_S)
