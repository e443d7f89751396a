"""How far teachers contradict each other: in answers, in rationales and in style, by pair, by teacher and by topic."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from distill.purify.answers import AGREES_F1, same
from distill.purify.style import style_distance


@dataclass(frozen=True, slots=True)
class Said:
    """What one teacher said to a question; ``vector`` is the rationale's, of length 1 [D], None where it gave none."""

    reply: str
    rationale: str
    vector: "np.ndarray[Any, Any] | None"


@dataclass(frozen=True, slots=True)
class Figures:
    """Conflict as three shares, 0 to 1, nan where nothing could be compared. ``questions`` were answered by both.

    ``answers``: share of questions whose final answers differ. ``rationales``: mean of 1 - cosine of their embeddings.
    ``style``: Jensen-Shannon distance of function words and marks in replies and rationales.
    """

    questions: int
    answers: float
    rationales: float
    style: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; nan is None."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Conflict:
    """All figures: ``split`` is the share of questions with two or more answers where any two of them differ.

    ``pairs`` by the two names, ``teachers`` the mean over the pairs a teacher is in, ``topics`` the mean over pairs.
    """

    questions: int
    split: float
    pairs: dict[tuple[str, str], Figures]
    teachers: dict[str, Figures]
    topics: dict[int, Figures]


def conflict(
    questions: Sequence[Mapping[str, Said]], topic_of: Sequence[int] = (), agrees_f1: float = AGREES_F1
) -> Conflict:
    """Conflict over questions, each with what its teachers said by name; ``topic_of`` gives each one's topic."""
    pairs = _pairs(questions, agrees_f1)
    several = [said for said in questions if len(said) > 1]
    differing = sum(
        any(not same(one.reply, other.reply, agrees_f1) for one, other in combinations(said.values(), 2))
        for said in several
    )
    names = sorted({name for pair in pairs for name in pair})
    by_topic = {
        topic: [said for said, own in zip(questions, topic_of, strict=True) if own == topic]
        for topic in sorted(set(topic_of))
    }
    return Conflict(
        questions=len(several),
        split=differing / len(several) if several else math.nan,
        pairs=pairs,
        teachers={name: _mean(figures for pair, figures in pairs.items() if name in pair) for name in names},
        topics={topic: _mean(_pairs(within, agrees_f1).values()) for topic, within in by_topic.items()},
    )


def _pairs(questions: Sequence[Mapping[str, Said]], agrees_f1: float) -> dict[tuple[str, str], Figures]:
    names = sorted({name for said in questions for name in said})
    found = {}
    for one, other in combinations(names, 2):
        both = [(said[one], said[other]) for said in questions if one in said and other in said]
        if both:
            found[one, other] = _compared(both, agrees_f1)
    return found


def _compared(both: Sequence[tuple[Said, Said]], agrees_f1: float) -> Figures:
    distances = [1 - float(a.vector @ b.vector) for a, b in both if a.vector is not None and b.vector is not None]
    texts = [[f"{pair[side].reply}\n{pair[side].rationale}" for pair in both] for side in (0, 1)]
    return Figures(
        questions=len(both),
        answers=sum(not same(a.reply, b.reply, agrees_f1) for a, b in both) / len(both),
        rationales=float(np.mean(distances)) if distances else math.nan,
        style=style_distance(*texts),
    )


def _mean(figures: Iterable[Figures]) -> Figures:
    """The mean over pairs, each by the questions it has in common; nan where there are none."""
    rows = list(figures)

    def mean(name: str) -> float:
        known = [(getattr(row, name), row.questions) for row in rows if not math.isnan(getattr(row, name))]
        return sum(v * n for v, n in known) / sum(n for _v, n in known) if known else math.nan

    return Figures(sum(row.questions for row in rows), mean("answers"), mean("rationales"), mean("style"))
