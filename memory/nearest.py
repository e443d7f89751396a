"""Conversations nearest to a text by their vectors alone: what it resembles, not what would be remembered."""

from collections.abc import Collection

from memory.store import Store
from memory.values import RecalledMemory
from memory.vectors import Vectors

LOOKED_AT = 300
"""So many chunks are looked at; of a home with many imports, most of them may not be among those wanted."""


def nearest(store: Store, vectors: Vectors, text: str, *, among: Collection[str], k: int) -> list[RecalledMemory]:
    """One exchange each of at most ``k`` conversations (their ids in ``among``), nearest first; score is the cosine."""
    cosines = vectors.cosines(text, LOOKED_AT)
    rows = [row for row in store.chunk_rows("text_hash", list(cosines)) if row["transcript_id"] in among]
    rows.sort(key=lambda row: -cosines[row["text_hash"]])
    best = {row["transcript_id"]: row for row in reversed(rows)}
    found = [store.as_memory(row, cosines[row["text_hash"]]) for row in best.values()]
    return sorted(found, key=lambda one: -one.score)[:k]
