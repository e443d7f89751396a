"""Consolidation: what the person said lately that may be worth keeping, proposed with its place, never kept unasked.

Extractive: a candidate is a sentence of the person's own, word for word. What was pasted or quoted, what a tool or the
agent said, what is labelled private or never-train, and what they asked not to keep can never become one.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from memory.errors import UsageError
from memory.home import Home
from memory.keep import add
from memory.remembering import asked_to_remember
from memory.scrub.spans import PLACEHOLDER
from memory.selection import local_day
from memory.statements import THRESHOLD, asks_to_keep_out, sentences, worth
from memory.store import Store
from memory.transcripts.writer import FORGOTTEN
from memory.typed import typed
from memory.values import Receipt
from memory.vectors import Vectors

WISHED = 5.0
"""The worth of what the person asked to have remembered: in a log of another agent nobody kept it for us."""
KNOWN_SHARE = 0.75
"""A candidate of whose telling words so many stand in one memory is known; of two candidates, the same thing."""
_OPENING = re.compile(
    r"^(?:(?:and|but|so|also|btw|oh|well|ok|okay|yes|no|actually|mas|e|pois|ah)\b[,:]?\s+)+", re.IGNORECASE
)
_RELATIVE = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|last (?:night|week|month|year)|this (?:week|month|year|morning|evening)|"
    r"next (?:week|month|year)|on \w+day|mon|tue|wed|thu|fri|sat|sun|\w+day|hoje|ontem|amanh[aã]|esta (?:semana|noite)|"
    r"segunda|ter[cç]a|quarta|quinta|sexta|s[aá]bado|domingo)\b",
    re.IGNORECASE,
)
_DATED = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\bevery\b|\btod[ao]s\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may be worth keeping. ``text`` is how it would stand in MEMORY.md, ``said`` how it was said.

    ``citation`` is the day, the conversation and the message; ``around`` the whole of what was typed there.
    """

    id: str
    text: str
    score: float
    citation: str
    said: str
    around: str
    conversation: str
    message_id: str
    timestamp: str


def candidates(store: Store, *, since: date | None = None, limit: int = 50) -> list[Candidate]:
    """What was said from ``since`` on (None: ever) and is neither remembered nor reviewed yet, the worthiest first.

    Near-duplicates are folded into the worthiest. Reads SQLite only; nothing is changed.
    """
    with store.locked() as connection:
        settled = {row[0] for row in connection.execute("SELECT digest FROM reviewed")}
        documents = connection.execute("SELECT text FROM chunks WHERE conversation_id IS NULL").fetchall()
    settled |= store.forgotten()
    known = [_telling(row["text"]) for row in documents]
    found = sorted(_proposed(store, since), key=lambda one: (one.score, one.timestamp), reverse=True)
    kept: list[Candidate] = []
    for one in found:
        if {store.digest(one.said), store.digest(one.text), _review_digest(store, one.said)} & settled:
            continue
        telling = _telling(one.said)
        if any(len(telling & other) >= KNOWN_SHARE * len(telling) for other in known):
            continue
        known.append(telling)
        kept.append(one)
        if len(kept) == limit:
            break
    return kept


def accept(home: Home, store: Store, vectors: Vectors, candidate_id: str, text: str = "") -> Receipt:
    """Keep a candidate in MEMORY.md, in other words if ``text`` gives them. Errors: UsageError, HomeError."""
    one = _find(store, candidate_id)
    receipt = add(home, store, vectors, text.strip() or one.text)
    _settle(store, one, "accepted")
    return receipt


def reject(store: Store, candidate_id: str) -> Candidate:
    """Never propose this again; its words are not kept for that. Errors: UsageError when there is no such candidate."""
    one = _find(store, candidate_id)
    _settle(store, one, "rejected")
    return one


def _find(store: Store, candidate_id: str) -> Candidate:
    for one in _proposed(store, None):
        if one.id == candidate_id:
            return one
    raise UsageError(f"{candidate_id}: no candidate of this id; see: molt memory review --json")


def _settle(store: Store, one: Candidate, verdict: str) -> None:
    with store.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO reviewed VALUES (?, ?)", (_review_digest(store, one.said), verdict))


def _review_digest(store: Store, said: str) -> str:
    """The same for the same words in another order and with other punctuation."""
    return store.digest("reviewed " + " ".join(sorted(set(re.findall(r"\w+", said.casefold())))))


def _telling(text: str) -> frozenset[str]:
    """The words that say what a sentence is about: the longer ones and the numbers."""
    found = re.findall(r"\w+", text.casefold())
    return frozenset(word for word in found if len(word) > 3 or word.isdigit()) or frozenset(found)


def _proposed(store: Store, since: date | None) -> Iterator[Candidate]:
    """All sentences that are worth it, conversation by conversation, known or not."""
    with store.locked() as connection:
        rows = connection.execute(
            "SELECT t.id, t.text, t.timestamp, t.label, t.trust, t.pasted, t.conversation_id, c.transcript_id,"
            " c.started_at FROM turns t JOIN conversations c ON c.id = t.conversation_id"
            " WHERE t.role = 'user' ORDER BY t.conversation_id, t.position"
        ).fetchall()
    for turns in _by_conversation(rows):
        # "Forget all of it" and "in confidence" are about what was said before, too.
        silenced = max((i for i, row in enumerate(turns) if asks_to_keep_out(row["text"])), default=-1)
        for row in turns[silenced + 1 :]:
            day = local_day(row["timestamp"] or row["started_at"])
            is_own = row["label"] == "normal" and row["trust"] == "owner" and row["text"] != FORGOTTEN
            if is_own and (since is None or (day is not None and day >= since)):
                yield from _of_turn(row, day)


def _by_conversation(rows: Iterable[sqlite3.Row]) -> Iterator[list[sqlite3.Row]]:
    turns: list[sqlite3.Row] = []
    for row in rows:
        if turns and turns[0]["conversation_id"] != row["conversation_id"]:
            yield turns
            turns = []
        turns.append(row)
    if turns:
        yield turns


def _of_turn(row: sqlite3.Row, day: date | None) -> Iterator[Candidate]:
    own = typed(row["text"], [tuple(pair) for pair in json.loads(row["pasted"])])
    wish = asked_to_remember(row["text"])
    scored = [(wish, WISHED)] if wish else [(one, worth(one)) for one in sentences(own)]
    for said, score in scored:
        if score < THRESHOLD or PLACEHOLDER.search(said):
            continue
        moment = row["timestamp"] or row["started_at"]
        key = f"{row['transcript_id']}\0{row['id']}\0{said}"
        yield Candidate(
            id=hashlib.sha256(key.encode()).hexdigest()[:12],
            text=_as_entry(said, day),
            score=round(score, 2),
            citation=f"{moment[:10]} {row['transcript_id'][:8]} message {row['id'][:8]}".strip(),
            said=said,
            around=own,
            conversation=row["transcript_id"],
            message_id=row["id"],
            timestamp=moment,
        )


def _as_entry(said: str, day: date | None) -> str:
    """The sentence as a line of MEMORY.md: no "and" before it, and its day where it says "tomorrow"."""
    text = _OPENING.sub("", said) or said
    if day is not None and _RELATIVE.search(text) and not _DATED.search(text):
        text = f"{text} (said on {day.isoformat()})"
    return text[0].upper() + text[1:]
