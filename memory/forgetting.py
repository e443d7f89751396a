"""Forgetting: takes memories out of every file of the home and out of SQLite, so that no byte of them is left."""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from memory import memory_edit
from memory.chunk import chunk_document
from memory.conversations import forget_turns
from memory.errors import HomeError
from memory.exchanges import (
    Messages,
    exchanges_of,
    holds,
    messages_holding,
    needles_of,
    shown_with,
    talks_of,
    texts_of,
)
from memory.home import Home
from memory.ingest import home_documents, message_key, source_key, sync
from memory.sources import drop_orphan_vectors
from memory.store import Store
from memory.telling import telling_words, tells
from memory.transcripts.redact import redact
from memory.transcripts.writer import FORGOTTEN
from memory.trust import words
from memory.values import Forgotten, Receipt
from memory.vectors import Vectors
from memory.wipe import delete_copies, wipe


@dataclass(slots=True)
class _Doomed:
    """What goes: the texts that were asked for, chunks of documents, messages by the number of their conversation."""

    asked: list[str] = field(default_factory=list)
    entries: dict[str, sqlite3.Row] = field(default_factory=dict)
    messages: Messages = field(default_factory=dict)


def forget(
    home: Home,
    store: Store,
    vectors: Vectors,
    ids: Sequence[str],
    messages: Mapping[str, Collection[str]] | None = None,
) -> Forgotten:
    """Remove memories by id, and messages by conversation; see ``Memory.forget_all``.

    Files first, SQLite after: whatever a crash leaves half done, the next reading of the files completes. What says the
    same elsewhere goes too: the same entry in another document, and an exchange in which it was said word for word.
    """
    doomed = _doomed(store, ids, messages or {})
    if not doomed.entries and not doomed.messages:
        return Forgotten()
    talks = talks_of(store, doomed.messages)
    said = texts_of(store, doomed.messages)
    entries = list(doomed.entries.values())
    telling = telling_words(store, [*(row["text"] for row in entries), *said], _numbers(store, doomed))
    receipts = _leave_documents(home, entries, doomed.asked)
    receipts += _leave_sessions(home, doomed.messages, talks, needles_of(doomed.asked), telling)
    shown = shown_with(store, list(doomed.entries))
    memory_ids = _leave_store(store, doomed, talks, telling)
    sync(home, store)  # the lines below moved up
    wipe(home, store, vectors, telling)
    receipts += [Receipt("", "deleted", str(path), 0, "") for path in delete_copies(home)]
    spoken = {name for names in doomed.messages.values() for name in names}
    return Forgotten(
        receipts=tuple(receipts),
        ids=frozenset(memory_ids | spoken),
        conversations=frozenset(row["transcript_id"] for row in (*talks.values(), *shown)),
        texts=tuple(doomed.asked + said),
        words=telling,
    )


def _doomed(store: Store, ids: Sequence[str], messages: Mapping[str, Collection[str]]) -> _Doomed:
    doomed = _Doomed()
    wanted: Messages = {}
    for row in store.chunk_rows("id", list(dict.fromkeys(ids))):
        if row["transcript_id"]:
            wanted.setdefault(row["conversation_id"], set()).update(json.loads(row["message_ids"]))
        else:
            doomed.entries.update((one["id"], one) for one in _pieces(store, row))
    with store.locked() as connection:
        for transcript_id, names in messages.items():
            query = "SELECT id FROM conversations WHERE transcript_id = ?"
            if found := connection.execute(query, (transcript_id,)).fetchone():
                wanted.setdefault(found["id"], set()).update(names)
    doomed.asked = list(dict.fromkeys(row["text"] for row in doomed.entries.values()))
    if doomed.asked:
        exact, needles = {words(text) for text in doomed.asked}, needles_of(doomed.asked)
        with store.locked() as connection:
            others = connection.execute("SELECT id, text FROM chunks WHERE conversation_id IS NULL").fetchall()
        copies = [one["id"] for one in others if words(one["text"]) in exact or holds(one["text"], needles)]
        doomed.entries.update((row["id"], row) for row in store.chunk_rows("id", copies))
        for number, names in messages_holding(store, needles).items():
            wanted.setdefault(number, set()).update(names)
    doomed.messages = exchanges_of(store, wanted)
    return doomed


def _pieces(store: Store, row: sqlite3.Row) -> list[sqlite3.Row]:
    """All chunks of the same lines: a long section is cut into pieces that overlap."""
    with store.locked() as connection:
        ids = connection.execute(
            "SELECT id FROM chunks WHERE source_id = ? AND conversation_id IS NULL AND line_start = ? AND line_end = ?",
            (row["source_id"], row["line_start"], row["line_end"]),
        ).fetchall()
    return store.chunk_rows("id", [one["id"] for one in ids])


def _numbers(store: Store, doomed: _Doomed) -> set[int]:
    """The numbers of all chunks that go."""
    numbers = {row["number"] for row in doomed.entries.values()}
    with store.locked() as connection:
        for conversation, names in doomed.messages.items():
            rows = connection.execute(
                "SELECT number, message_ids FROM chunks WHERE conversation_id = ?", (conversation,)
            )
            numbers |= {row["number"] for row in rows if not names.isdisjoint(json.loads(row["message_ids"]))}
    return numbers


# -- files -------------------------------------------------------------------------------------------------------------


def _leave_documents(home: Home, rows: Sequence[sqlite3.Row], asked: Sequence[str]) -> list[Receipt]:
    """Take the entries out of the documents that are the home's, and whatever repeats them there."""
    receipts: list[Receipt] = []
    ours = {source_key(home, path): path for path in home_documents(home)}
    exact, needles = {words(text) for text in asked}, needles_of(asked)
    for row in rows:
        path = ours.get(row["source_path"])
        if path is None:
            place = str(home.root / row["source_path"])
            receipts.append(Receipt(row["id"], "forgotten", place, row["line_start"], row["text"]))
        elif words(row["text"]) in exact:
            # The same words twice in a file are one chunk, and a piece of a section may have gone with another.
            while line := memory_edit.remove_lines(path, partial(_lines, path=path, row=row)):
                receipts.append(Receipt(row["id"], "removed", str(path), line, row["text"]))
    for path in ours.values() if needles else ():
        for line, text in memory_edit.cut_texts(path, needles):
            receipts.append(Receipt("", "removed", str(path), line, text))
    return receipts


def _lines(content: str, *, path: Path, row: sqlite3.Row) -> tuple[int, int] | None:
    """Where the chunk stands now; of several the one nearest to where it stood."""
    same = [chunk for chunk in chunk_document(content, path) if chunk.text == row["text"]]
    nearest = min(same, key=lambda chunk: abs(chunk.line_start - row["line_start"]), default=None)
    return (nearest.line_start, nearest.line_end) if nearest else None


def _leave_sessions(
    home: Home,
    messages: Messages,
    talks: Mapping[int, sqlite3.Row],
    needles: Sequence[bytes],
    telling: Collection[str],
) -> list[Receipt]:
    """Redact our own transcripts; a log that is somebody else's stays as it is and is forgotten in SQLite alone."""
    receipts: list[Receipt] = []
    wanted: dict[Path, set[str]] = {}
    for number, talk in talks.items():
        path = home.root / talk["source_path"]
        if talk["in_home"] and path.exists():
            wanted[path] = messages[number]
        else:
            receipts += [Receipt("", "forgotten", str(path), 0, name) for name in sorted(messages[number])[:1]]
    # What was said on a branch that was left is in no index, only in the file.
    for path in home.sessions_dir.glob("*.jsonl") if needles else ():
        wanted.setdefault(path, set())
    for path, names in wanted.items():
        try:
            changed = redact(path, partial(_is_forgotten, names=names, needles=needles), telling=telling)
        except OSError as error:
            raise HomeError(f"{path}: cannot be redacted ({error.strerror}); do the same again when it can") from error
        receipts += [Receipt("", "redacted", str(path), line, name) for line, name in changed]
    return receipts


def _is_forgotten(name: str, text: str, *, names: Collection[str], needles: Sequence[bytes]) -> bool:
    return name in names or holds(text, needles)


# -- SQLite ------------------------------------------------------------------------------------------------------------


def _leave_store(store: Store, doomed: _Doomed, talks: Mapping[int, sqlite3.Row], telling: Collection[str]) -> set[str]:
    """Take it out of SQLite for good, in one transaction; returns the ids of the chunks that went."""
    rows = {row["number"]: row for row in store.chunk_rows("number", list(_numbers(store, doomed)))}
    digests = {store.digest(text) for text in (*doomed.asked, *(row["text"] for row in doomed.entries.values()))}
    for number, names in doomed.messages.items():
        digests |= {store.digest(message_key(talks[number]["transcript_id"], name)) for name in names}
    with store.transaction() as connection:
        connection.executemany("INSERT OR IGNORE INTO forgotten VALUES (?)", [(one,) for one in sorted(digests)])
        for number, names in doomed.messages.items():
            forget_turns(connection, number, sorted(names), FORGOTTEN)
            if tells(talks[number]["title"], telling):
                connection.execute("UPDATE conversations SET title = '' WHERE id = ?", (number,))
        connection.executemany("DELETE FROM chunks WHERE number = ?", [(number,) for number in rows])
        connection.executemany("DELETE FROM writes WHERE memory_id = ?", [(row["id"],) for row in rows.values()])
        drop_orphan_vectors(connection, [row["text_hash"] for row in rows.values()])
    return {row["id"] for row in rows.values()}
