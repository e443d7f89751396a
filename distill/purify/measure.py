"""Measures the conflict between the teachers of a home, with topics and vectors, as the command shows it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill.purify.answers import AGREES_F1
from distill.purify.asked import Asked
from distill.purify.conflict import Conflict, Figures, Said, conflict
from distill.purify.embedding import Embed
from distill.purify.question_topics import Topics, topics_of
from memory.errors import UsageError


@dataclass(frozen=True, slots=True)
class Measured:
    """The conflict and the topics by which it is told apart."""

    found: Conflict
    topics: Topics

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = self.found
        return {
            "questions": found.questions,
            "split": found.split,
            "pairs": [{"teachers": list(pair), **figures.to_dict()} for pair, figures in found.pairs.items()],
            "teachers": {name: figures.to_dict() for name, figures in found.teachers.items()},
            "topics": [{"topic": self.topics.names[k], **figures.to_dict()} for k, figures in found.topics.items()],
        }

    def text(self) -> str:
        """The tables for a person."""
        found = self.found
        lines = [
            f"{found.questions:,} questions with two or more answers; in {found.split:.1%} some answers differ.",
            "Answers: share that differs; rationales: 1 - cosine; style: distance of small words and marks.",
        ]
        lines += _table("teachers", {" and ".join(pair): figures for pair, figures in found.pairs.items()})
        if len(found.teachers) > 2:
            lines += _table("one against the others", found.teachers)
        if len(self.topics.names) > 1:
            lines += _table("topic, by its most central question", _named(self.topics, found.topics))
        return "\n".join(lines)


def measure(asked: Sequence[Asked], embed: Embed, *, agrees_f1: float = AGREES_F1, topics: int = 0) -> Measured:
    """Conflict over all questions with two or more answers. Errors: UsageError where there are none."""
    several = [one for one in asked if len(one.answers) > 1]
    if not several:
        raise UsageError(
            "fewer than two teachers answered the same question; ask another one: "
            "python -m distill teach --home HOME --teacher NAME"
        )
    rationales = [answer.rationale for one in several for answer in one.answers]
    vectors = iter(embed([one.question for one in several] + rationales))
    question_vectors = [next(vectors) for _one in several]
    said = [
        {
            answer.teacher: Said(answer.reply, answer.rationale, vector if answer.rationale.strip() else None)
            for answer, vector in zip(one.answers, vectors, strict=False)
        }
        for one in several
    ]
    import numpy as np

    found = topics_of([one.question for one in several], np.stack(question_vectors), topics)
    return Measured(conflict(said, found.of, agrees_f1), found)


def _named(topics: Topics, figures: dict[int, Figures]) -> dict[str, Figures]:
    return {topics.names[topic]: row for topic, row in figures.items()}


def _table(title: str, rows: dict[str, Figures]) -> list[str]:
    width = max(len(title), *(len(name) for name in rows)) if rows else len(title)
    lines = ["", f"{title:<{width}}  {'questions':>9}  {'answers':>7}  {'rationales':>10}  {'style':>5}"]
    for name, row in rows.items():
        answers, rationales, style = (
            f"{value:.1%}" if kind == "%" else f"{value:.2f}" if not math.isnan(value) else "-"
            for kind, value in (("%", row.answers), ("", row.rationales), ("", row.style))
        )
        lines.append(f"{name:<{width}}  {row.questions:>9,}  {answers:>7}  {rationales:>10}  {style:>5}")
    return lines
