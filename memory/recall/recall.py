"""What is shown for a question: gathered, ranked, nothing that does not fit by itself, folded, cut to a budget."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from memory.recall.block import within_budget
from memory.recall.gather import gather
from memory.recall.rank import Ranked, Weights, rank
from memory.values import RecalledMemory

if TYPE_CHECKING:
    from memory.store import Store
    from memory.vectors import Vectors

WEIGHTS = Weights()
THRESHOLD = 0.30
"""A chunk whose own text fits less is not shown. Of 28 small-talk and foreign questions over 250 conversations 22 find
nothing so; of 25 real questions about MEMORY.md 23 keep their answer (the other two share no word and no English)."""
FOLD_OVERLAP = 0.8


def recall(
    store: "Store", vectors: "Vectors", query: str, *, k: int, budget_tokens: int, exclude_transcript: str = ""
) -> list[RecalledMemory]:
    """The memories that fit ``query``, best first; see ``Memory.recall``."""
    if k <= 0 or not query.strip():
        return []
    now = datetime.now(UTC)
    gathered = gather(store, vectors, query, now)
    fitting = [
        store.as_memory(
            one.candidate.row, round(one.score, 4), {name: round(value, 4) for name, value in one.parts.items()}
        )
        for one in rank(gathered, WEIGHTS, now)
        if (is_shown(one, only_days=gathered.only_days))
        and not (exclude_transcript and one.candidate.row["transcript_id"] == exclude_transcript)
    ]
    return within_budget(folded(fitting, k), budget_tokens)


def is_shown(one: Ranked, *, only_days: bool) -> bool:
    """Whether a chunk fits by its own text, or was said on the days of a question that asks of nothing else."""
    return one.fit >= THRESHOLD or (only_days and one.candidate.near == 1.0)


def folded(memories: Sequence[RecalledMemory], k: int) -> list[RecalledMemory]:
    """The first ``k`` that say something new: near-duplicates and further pieces of one message fold into the best."""
    kept: list[tuple[RecalledMemory, set[str]]] = []
    for memory in memories:
        words = set(re.findall(r"\w+", memory.text.casefold()))
        is_new = all(
            len(words & other) < FOLD_OVERLAP * len(words | other)
            and not (memory.message_id and (memory.conversation, memory.message_id) == (m.conversation, m.message_id))
            for m, other in kept
        )
        if is_new:
            kept.append((memory, words))
        if len(kept) == k:
            break
    return [memory for memory, _ in kept]
