"""General questions of our own writing (general.jsonl), answered by likelihood: has the student forgotten the world?"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message, render

QUESTIONS_FILE = Path(__file__).parent / "general.jsonl"


@dataclass(frozen=True, slots=True)
class Question:
    """``choices[answer]`` is right."""

    question: str
    choices: tuple[str, ...]
    answer: int
    subject: str


@dataclass(frozen=True, slots=True)
class GeneralScore:
    """For each question the probability of the right answer among the choices, and whether it was the likeliest."""

    right_probability: tuple[float, ...]
    right: tuple[bool, ...]

    @property
    def mean(self) -> float:
        return sum(self.right_probability) / len(self.right_probability)

    @property
    def accuracy(self) -> float:
        return sum(self.right) / len(self.right)


def load_questions(limit: int = 0, path: Path = QUESTIONS_FILE) -> list[Question]:
    """The first ``limit`` questions of a JSON-lines file, all when 0."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = rows[:limit] if limit else rows
    return [Question(row["question"], tuple(row["choices"]), row["answer"], row["subject"]) for row in rows]


def score_general(
    engine: Engine, questions: Sequence[Question], system: str, *, on_item: Callable[[], None] = lambda: None
) -> GeneralScore:
    """Likelihood of each choice as the reply to its question; the probabilities are normalised over the choices.

    Log-probabilities are divided by the choice's bytes before the softmax is taken over their sum-preserving scale
    (the mean length of the question's choices), so that long answers are not punished for their length.
    """
    info = engine.info
    probabilities: list[float] = []
    right: list[bool] = []
    for question in questions:
        nats_per_byte: list[float] = []
        for choice in question.choices:
            messages = [
                Message("system", system),
                Message("user", question.question),
                Message("assistant", choice, target=True),
            ]
            segments = render(
                info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False
            )
            # Only the words: how likely the reply ends there is a matter of style.
            words = [s for s in segments if s.message == 2 and not s.special]
            score = engine.score([*segments[: segments.index(words[0])], *words])
            nats_per_byte.append(sum(score.nats) / max(1, sum(score.bytes)))
        scale = sum(len(choice.encode()) for choice in question.choices) / len(question.choices)
        logits = [-nats * scale for nats in nats_per_byte]
        top = max(logits)
        weights = [math.exp(value - top) for value in logits]
        probabilities.append(weights[question.answer] / sum(weights))
        right.append(weights[question.answer] == max(weights))
        on_item()
    return GeneralScore(tuple(probabilities), tuple(right))
