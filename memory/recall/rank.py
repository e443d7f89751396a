"""Weighs candidates against each other: own fit, neighbours, conversation, days asked for, age (pure)."""

from dataclasses import dataclass
from datetime import datetime

from memory.recall.dates import moment_of
from memory.recall.gather import Candidate, Gathered

COSINE_FLOOR, COSINE_CEILING = 0.1, 0.7
"""MiniLM gives unrelated texts about 0.1 and a question with its answer 0.4 to 0.7."""
HALF_LIFE_DAYS = 90.0
IN_PASSING_FACTOR = 0.7
"""What was said in a conversation counts less than what the person chose to keep in MEMORY.md, notes and documents."""
TIMELESS_FACTOR = 0.87
"""For a question that asks when: a memory that names no time, day or date is less likely the answer."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each part counts; fitted by ``python -m memory.evaluate locomo PATH --fit``, then rounded.

    ``lexical`` and ``vector`` make a chunk's own fit; ``around`` (the better of its two neighbours), ``conversation``
    (all of it as one document) and ``days`` (only where a question names days) are relative to the fit's 1.
    """

    lexical: float = 0.5
    vector: float = 0.5
    around: float = 0.3
    conversation: float = 0.5
    days: float = 1.0
    recency: float = 0.03


@dataclass(frozen=True, slots=True)
class Ranked:
    """One candidate with its score and the fit of its own text alone, both 0..1, and the parts of the score."""

    candidate: Candidate
    score: float
    fit: float
    parts: dict[str, float]


def rank(gathered: Gathered, weights: Weights, now: datetime) -> list[Ranked]:
    """All candidates, best first.

    An entry of a document has neither neighbours nor a conversation, and perhaps no time: its own fit stands for them.
    """
    fits = {number: fit_of(one, gathered, weights) for number, one in gathered.candidates.items()}
    ranked = []
    for number, one in gathered.candidates.items():
        fit = fits[number]
        conversation = one.row["conversation_id"]
        around = talk = fit
        if conversation is not None:
            beside = [
                fits[other]
                for other in (number - 1, number + 1)
                if other in fits and gathered.candidates[other].row["conversation_id"] == conversation
            ]
            around, talk = max(beside, default=0.0), one.conversation * IN_PASSING_FACTOR
        score = fit + weights.around * around + weights.conversation * talk
        whole = 1.0 + weights.around + weights.conversation
        parts = {"lexical": one.lexical}
        if one.cosine is not None:
            parts["vector"] = one.cosine
        parts |= {"fit": fit, "around": around, "conversation": talk}
        if gathered.asks_of_days:
            parts["days"] = one.near if one.row["timestamp"] else fit
            score += weights.days * parts["days"]
            whole += weights.days
        parts["recency"] = recency(one.row["timestamp"], now)
        score = min(1.0, score / whole * (1.0 + weights.recency * parts["recency"]))
        ranked.append(Ranked(one, score, fit, parts))
    return sorted(ranked, key=lambda item: (-item.score, item.candidate.number))


def fit_of(one: Candidate, gathered: Gathered, weights: Weights) -> float:
    """How well a chunk's own text fits, 0..1; without a vector the words alone decide."""
    if one.cosine is None:
        fit = one.lexical if weights.lexical else 0.0
    else:
        likeness = min(1.0, max(0.0, (one.cosine - COSINE_FLOOR) / (COSINE_CEILING - COSINE_FLOOR)))
        fit = (weights.lexical * one.lexical + weights.vector * likeness) / (weights.lexical + weights.vector)
    if one.row["kind"] == "exchange":
        fit *= IN_PASSING_FACTOR
    if gathered.asks_when and not one.names_time:
        fit *= TIMELESS_FACTOR
    return fit


def recency(timestamp: str, now: datetime) -> float:
    """1 for this moment, half of it every HALF_LIFE_DAYS; 0 where no time is known."""
    if (moment := moment_of(timestamp)) is None:
        return 0.0
    age_days = max(0.0, (now - moment).total_seconds() / 86_400)
    return float(0.5 ** (age_days / HALF_LIFE_DAYS))
