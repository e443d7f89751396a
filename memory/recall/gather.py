"""Gathers what may fit a question: chunks by words, by vector and by the days that were asked for, with their parts."""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from memory.recall.dates import Span, asked_spans, nearness
from memory.recall.lexical import search_words
from memory.recall.words import asks_when, content_terms, is_question, names_a_time

if TYPE_CHECKING:
    from memory.store import Store
    from memory.vectors import Vectors

CANDIDATES = 100


@dataclass(slots=True)
class Candidate:
    """One chunk with what speaks for it. Shares are 0..1, ``cosine`` None where the chunk has no vector yet.

    ``names_time`` is looked at only where a question asks when.
    """

    row: sqlite3.Row
    lexical: float
    cosine: float | None
    conversation: float
    near: float
    names_time: bool

    @property
    def number(self) -> int:
        return int(self.row["number"])


@dataclass(slots=True)
class Gathered:
    """All candidates of a question by number; what surrounds them in their conversations is among them."""

    candidates: dict[int, Candidate] = field(default_factory=dict)
    asks_when: bool = False
    asks_of_days: bool = False
    only_days: bool = False
    """Nothing but a time was asked for: what we did last Sunday."""


def gather(store: "Store", vectors: "Vectors", query: str, now: datetime) -> Gathered:
    """Everything that may fit ``query`` as asked at ``now``."""
    spans, rest = asked_spans(query, now.date())
    terms = content_terms(rest)
    words = search_words(store, terms)
    numbers = sorted(words.chunks, key=lambda number: -words.chunks[number])[:CANDIDATES]
    if spans:
        numbers += _of_days(store, spans)
    near_by = [other for number in numbers for other in (number - 1, number, number + 1)]
    rows = {row["number"]: row for row in store.chunk_rows("number", list(dict.fromkeys(near_by)))}
    cosines = vectors.cosines(query, CANDIDATES, {row["text_hash"] for row in rows.values()})
    known = {row["text_hash"] for row in rows.values()}
    for row in store.chunk_rows("text_hash", [key for key in cosines if key not in known]):
        rows[row["number"]] = row
    found = Gathered(
        asks_when=asks_when(query),
        asks_of_days=bool(spans),
        only_days=not terms and is_question(query) and any(span.last < now.date() for span in spans),
    )
    for number, row in rows.items():
        found.candidates[number] = Candidate(
            row,
            words.chunks.get(number, 0.0),
            cosines.get(row["text_hash"]),
            words.conversations.get(row["conversation_id"], 0.0),
            nearness(row["timestamp"], spans),
            not found.asks_when or names_a_time(row["text"]),
        )
    return found


def _of_days(store: "Store", spans: list[Span]) -> list[int]:
    """Chunks of conversations that began on these days, and of daily notes of these days; the newest first."""
    numbers: list[int] = []
    with store.locked() as connection:
        for span in spans:
            days = (span.first.isoformat(), (span.last + timedelta(1)).isoformat())
            for query in (
                "SELECT c.number FROM conversations t JOIN chunks c ON c.conversation_id = t.id"
                " WHERE t.started_at >= ? AND t.started_at < ? ORDER BY c.number DESC LIMIT ?",
                "SELECT c.number FROM sources s JOIN chunks c ON c.source_id = s.id WHERE s.path LIKE 'memory/%'"
                " AND c.timestamp >= ? AND c.timestamp < ? ORDER BY c.number DESC LIMIT ?",
            ):
                numbers += [row[0] for row in connection.execute(query, (*days, CANDIDATES))]
    return numbers
