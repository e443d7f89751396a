"""Which messages belong together when one of them is forgotten, and which of them say a given thing."""

import json
import re
import sqlite3
from collections.abc import Collection, Iterable

from memory.store import Store
from memory.trust import words

MIN_WORDS = 4
"""From so many words on a text is looked for within others; a shorter one may stand there by chance."""

Messages = dict[int, set[str]]
"""Message ids by the number of their conversation in SQLite."""


def holds(text: str, needles: Iterable[bytes]) -> bool:
    """Whether one of ``needles`` (see ``trust.words``) stands in ``text``, whatever its punctuation and case."""
    said = words(text)
    return any(needle in said for needle in needles)


def needles_of(texts: Iterable[str]) -> list[bytes]:
    """What is looked for in other texts: those of at least MIN_WORDS words."""
    return [needle for text in texts if len((needle := words(text)).split()) >= MIN_WORDS]


def exchanges_of(store: Store, messages: Messages) -> Messages:
    """The messages with those they belong to: a question, what was said to it, and further words before the reply."""
    found: Messages = {}
    for conversation, wanted in messages.items():
        with store.locked() as connection:
            rows = connection.execute(
                "SELECT id, role FROM turns WHERE conversation_id = ? ORDER BY position", (conversation,)
            ).fetchall()
        group: list[str] = []
        before = ""
        for row in [*rows, {"id": "", "role": "end"}]:
            if row["role"] == "end" or (row["role"] == "user" and before != "user"):
                if not wanted.isdisjoint(group):
                    found.setdefault(conversation, set()).update(group)
                group = []
            group.append(row["id"])
            before = row["role"]
    return found


def messages_holding(store: Store, needles: Collection[bytes]) -> Messages:
    """Where one of ``needles`` was said, thought, given to a tool or given back by one."""
    found: Messages = {}
    for needle in needles:
        for row in _likely(store, needle):
            texts = [row["text"], row["rationale"], row["edited_text"] or ""]
            texts += [str(part) for call in json.loads(row["tool_calls"]) for part in call]
            if any(holds(text, [needle]) for text in texts):
                found.setdefault(row["conversation_id"], set()).add(row["id"])
    return found


def _likely(store: Store, needle: bytes) -> list[sqlite3.Row]:
    """Turns in which the longest plain word of ``needle`` stands; SQLite is faster at it than a scan here."""
    plain = re.findall(rb"[a-z0-9]+", needle)
    longest = max(plain, key=len, default=b"").decode()
    like = f"%{longest}%"
    columns = "conversation_id, id, text, rationale, edited_text, tool_calls"
    with store.locked() as connection:
        return connection.execute(
            f"SELECT {columns} FROM turns WHERE text LIKE ?1 OR rationale LIKE ?1 OR edited_text LIKE ?1"  # noqa: S608 - only columns of ours are put in
            " OR tool_calls LIKE ?1",
            (like,),
        ).fetchall()


def texts_of(store: Store, messages: Messages) -> list[str]:
    """All that was said in these messages, thoughts and edits included."""
    found: list[str] = []
    with store.locked() as connection:
        for conversation, wanted in messages.items():
            rows = connection.execute(
                "SELECT id, text, rationale, edited_text, tool_calls FROM turns WHERE conversation_id = ?",
                (conversation,),
            )
            for row in rows:
                if row["id"] in wanted:
                    calls = [str(part) for call in json.loads(row["tool_calls"]) for part in call[2:4]]
                    found += [row["text"], row["rationale"], row["edited_text"] or "", *calls]
    return [text for text in found if text.strip()]


def talks_of(store: Store, numbers: Collection[int]) -> dict[int, sqlite3.Row]:
    """Rows (id, transcript_id, title, source_path, in_home) of conversations by their number."""
    with store.locked() as connection:
        rows = [
            connection.execute(
                "SELECT c.id, c.transcript_id, c.title, s.path AS source_path, s.in_home FROM conversations c"
                " JOIN sources s ON s.id = c.source_id WHERE c.id = ?",
                (number,),
            ).fetchone()
            for number in numbers
        ]
    return {row["id"]: row for row in rows if row is not None}


def shown_with(store: Store, memory_ids: Collection[str]) -> list[sqlite3.Row]:
    """Replies beside which one of these memories was shown: (transcript_id, id, timestamp, line, spoken_by)."""
    found: dict[tuple[str, str], sqlite3.Row] = {}
    with store.locked() as connection:
        for memory_id in memory_ids:
            rows = connection.execute(
                "SELECT c.transcript_id, t.id, t.timestamp, t.line, t.spoken_by FROM turns t JOIN conversations c"
                " ON c.id = t.conversation_id WHERE t.shown_memories LIKE ? ORDER BY t.timestamp",
                (f'%"{memory_id}"%',),
            )
            found.update({(row["transcript_id"], row["id"]): row for row in rows})
    return list(found.values())
