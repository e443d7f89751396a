"""BM25 over SQLite's full text, term by term, so that chunks, their neighbours and whole conversations can be scored.

The rarest terms come first. In a large memory common ones are left out as soon as POSTINGS chunks were looked at: they
cost the most time and say the least (the idea of WAND: what cannot lift a chunk to the top need not be read).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory.store import in_parts, marks

if TYPE_CHECKING:
    from memory.store import Store

POSTINGS = 6000
"""About 10 ms. A chunk that has only terms beyond it can still be found by its vector."""
PRIOR_CHUNKS = 50
SATURATION = 1.2
LENGTH_SHARE = 0.75
"""BM25's k1 and b, for whole conversations (SQLite has the same for chunks)."""


@dataclass(slots=True)
class Lexical:
    """What the words of a question find: ``chunks`` and ``conversations`` (by number) have shares, 0..1.

    A share is of what a chunk of average length with every term once would get: scores of different questions become
    comparable, which a threshold needs (BM25 by itself is not).
    """

    chunks: dict[int, float] = field(default_factory=dict)
    conversations: dict[int, float] = field(default_factory=dict)


def rarity(count: int, total: int) -> float:
    """What a term is worth that ``count`` of ``total`` chunks have (Lucene's BM25 idf, never negative).

    PRIOR_CHUNKS that have none are added: in a home with one memory its words are no more common than elsewhere.
    SQLite's own weight is nothing for a term that half of the chunks have, which in a new home is any term.
    """
    return math.log(1.0 + (total + PRIOR_CHUNKS - count + 0.5) / (count + 0.5))


def search_words(store: "Store", terms: Sequence[str]) -> Lexical:
    """Score every chunk that has one of ``terms``, and every conversation by all its chunks together."""
    if not terms:
        return Lexical()
    chunks: dict[int, float] = {}
    sums: dict[int, list[float]] = {}
    weights: list[float] = []
    with store.locked() as connection:
        total = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
        count = "SELECT count(*) FROM chunks_fts WHERE chunks_fts MATCH ?"
        counts = {term: connection.execute(count, (f'"{term}"',)).fetchone()[0] for term in terms}
        read = 0
        for position, (term, found) in enumerate(sorted(counts.items(), key=lambda item: item[1])):
            if position and read + found > POSTINGS:
                break
            read += found
            weights.append(rarity(found, total))
            sqlite_weight = max(math.log((total - found + 0.5) / (found + 0.5)), 1e-6)
            rows = connection.execute(
                "SELECT f.rowid, -bm25(chunks_fts), c.conversation_id FROM chunks_fts f"
                " JOIN chunks c ON c.number = f.rowid WHERE chunks_fts MATCH ? ORDER BY f.rowid DESC LIMIT ?",
                (f'"{term}"', POSTINGS),
            )
            for number, score, conversation in rows:
                frequency = score / sqlite_weight
                chunks[number] = chunks.get(number, 0.0) + frequency * weights[-1]
                if conversation is not None:
                    sums.setdefault(conversation, [0.0] * len(terms))[position] += frequency
        lengths, average = _lengths(store, list(sums), total)
    whole = sum(weights)
    best = {number: min(1.0, max(0.0, score) / whole) for number, score in chunks.items()}
    return Lexical(best, _conversation_shares(sums, weights, lengths, average))


def _lengths(store: "Store", conversations: Sequence[int], total: int) -> tuple[dict[int, int], float]:
    """Chunks in each of these conversations, and in a conversation of average length."""
    lengths: dict[int, int] = {}
    with store.locked() as connection:
        for part in in_parts(conversations):
            lengths.update(
                connection.execute(
                    "SELECT conversation_id, count(*) FROM chunks"  # noqa: S608 - only marks are put in
                    f" WHERE conversation_id IN ({marks(part)}) GROUP BY conversation_id",
                    part,
                ).fetchall()
            )
        talks = connection.execute("SELECT count(*) FROM conversations").fetchone()[0]
    return lengths, total / max(1, talks)


def _conversation_shares(
    sums: dict[int, list[float]], weights: Sequence[float], lengths: dict[int, int], average: float
) -> dict[int, float]:
    """BM25 of conversations as if each were one document, from the sums of its chunks; as shares of the whole.

    A term's weight is how few of the conversations found have it, beside its weight among chunks.
    """
    shares = {}
    whole = sum(weights)
    for conversation, frequencies in sums.items():
        norm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * lengths.get(conversation, 1) / average)
        score = sum(
            weight * found * (SATURATION + 1) / (found + norm)
            for weight, found in zip(weights, frequencies, strict=False)
        )
        shares[conversation] = min(1.0, score / whole)
    return shares
