"""Keeping and forgetting: the two ways a person writes to the memory, each answered with receipts."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from memory import memory_file
from memory.chunk import chunk_document
from memory.conversations import forget_turns
from memory.errors import HomeError
from memory.home import Home
from memory.ingest import message_key, sync_file
from memory.sources import bump, drop_orphan_vectors
from memory.store import Store
from memory.transcripts.writer import FORGOTTEN, redact
from memory.values import Receipt
from memory.vectors import Vectors


def add(home: Home, store: Store, vectors: Vectors, text: str) -> Receipt:
    """Write one entry to MEMORY.md and index it; see ``Memory.add``. Raises UsageError for empty text, HomeError."""
    clean = " ".join(text.split())
    with store.transaction() as connection:  # said anew, it may stay
        connection.execute("DELETE FROM forgotten WHERE digest = ?", (store.digest(clean),))
    line, is_new = memory_file.add_entry(home.memory_file, clean)
    sync_file(home, store, home.memory_file)
    vectors.fill_if_loaded()
    with store.locked() as connection:
        row = connection.execute(
            "SELECT c.id FROM chunks c JOIN sources s ON s.id = c.source_id WHERE s.path = ? AND c.line_start = ?",
            (home.memory_file.name, line),
        ).fetchone()
    return Receipt(row["id"] if row else "", "added" if is_new else "kept", str(home.memory_file), line, clean)


def forget(home: Home, store: Store, vectors: Vectors, ids: Sequence[str]) -> list[Receipt]:
    """Remove memories everywhere in the home; see ``Memory.forget``.

    Files first, SQLite after: whatever a crash leaves half done, the next reading of the files completes. The same
    entry in another document, and further pieces of the same exchange, go too.
    """
    receipts: list[Receipt] = []
    for row in _with_copies(store, ids):
        path = home.root / row["source_path"]
        if row["transcript_id"]:
            receipts += _forget_exchange(home, store, row, path)
        else:
            receipts.append(_forget_entry(home, store, row, path))
    if receipts:
        _leave_no_bytes(home, store, vectors)
    return receipts


def _with_copies(store: Store, ids: Sequence[str]) -> list[sqlite3.Row]:
    rows = {row["id"]: row for row in store.chunk_rows("id", list(dict.fromkeys(ids)))}
    for row in list(rows.values()):
        if not row["transcript_id"]:
            wanted = store.digest(row["text"])
            for other in store.chunk_rows("text_hash", [row["text_hash"]]):
                if not other["transcript_id"] and store.digest(other["text"]) == wanted:
                    rows[other["id"]] = other
    return list(rows.values())


def _forget_entry(home: Home, store: Store, row: sqlite3.Row, path: Path) -> Receipt:
    """Take an entry out of its file if the file is the home's, and out of SQLite, for good."""
    action, line = "forgotten", row["line_start"]
    if row["in_home"]:

        def locate(content: str) -> tuple[int, int] | None:
            same = [chunk for chunk in chunk_document(content, path) if chunk.text == row["text"]]
            nearest = min(same, key=lambda chunk: abs(chunk.line_start - row["line_start"]), default=None)
            return (nearest.line_start, nearest.line_end) if nearest else None

        line = memory_file.remove_lines(path, locate)
        action = "removed"
    with store.transaction() as connection:
        connection.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (store.digest(row["text"]),))
        _delete_chunks(connection, [row])
    if row["in_home"] and path.exists():
        sync_file(home, store, path)  # the lines below moved up
    return Receipt(row["id"], action, str(path), line, row["text"])


def _forget_exchange(home: Home, store: Store, row: sqlite3.Row, path: Path) -> list[Receipt]:
    """Redact the exchange's messages in our own transcript, or in SQLite alone where the log is somebody else's."""
    messages = set(json.loads(row["message_ids"]))
    receipts: list[Receipt] = []
    if row["in_home"] and path.exists():
        try:
            changed = redact(path, lambda message_id, _: message_id in messages)
        except OSError as error:
            raise HomeError(f"{path}: cannot be redacted ({error.strerror}); nothing was forgotten") from error
        receipts = [Receipt(row["id"], "redacted", str(path), line, message_id) for line, message_id in changed]
    with store.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO forgotten VALUES (?)",
            [(store.digest(message_key(row["transcript_id"], message_id)),) for message_id in messages],
        )
        forget_turns(connection, row["conversation_id"], sorted(messages), FORGOTTEN)
        pieces = connection.execute(
            "SELECT number, text_hash FROM chunks WHERE conversation_id = ? AND message_id = ?",
            (row["conversation_id"], row["message_id"]),
        ).fetchall()
        _delete_chunks(connection, pieces)
    if row["in_home"] and path.exists():
        sync_file(home, store, path)
    return receipts or [Receipt(row["id"], "forgotten", str(path), row["line_start"], row["message_id"])]


def _delete_chunks(connection: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> None:
    connection.executemany("DELETE FROM chunks WHERE number = ?", [(row["number"],) for row in rows])
    drop_orphan_vectors(connection, [row["text_hash"] for row in rows])


def _leave_no_bytes(home: Home, store: Store, vectors: Vectors) -> None:
    """Wipe what deletion leaves behind: dead terms in the full-text index, old pages in the WAL, vectors, KV states."""
    with store.transaction() as connection:
        bump(connection, "purges")
        connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('optimize')")
    with store.locked() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    vectors.purge()
    for state in (home.cache_dir / "kv").rglob("*"):
        if state.is_file():
            state.unlink(missing_ok=True)
