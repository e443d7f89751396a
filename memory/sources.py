"""What was read: files as they were then, and the chunks that came of them."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from memory.chunk import Chunk, chunk_id
from memory.conversations import put_rows
from memory.labels import strictest
from memory.store import Store
from memory.transcripts.model import Label, Transcript


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One ingested file as it was when it was read. ``path`` is relative to the home for its own files.

    ``label`` is what the person marked it with. ``sha256`` is "" when it has to be read again whatever is in it.
    ``duplicates`` counts the conversations in it that are in the memory from another file.
    """

    path: str
    format: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    label: Label = "normal"
    in_home: bool = False
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """What storing a file did: chunks that are new, chunks that are gone."""

    added: int
    removed: int


def known_source(store: Store, path: str) -> SourceFile | None:
    """The file as it was last read; None when it never was."""
    with store.locked() as connection:
        row = connection.execute("SELECT * FROM sources WHERE path = ?", (path,)).fetchone()
    return _source_file(row) if row else None


def home_sources(store: Store) -> list[SourceFile]:
    """The files of the home that are in the memory."""
    with store.locked() as connection:
        return [_source_file(row) for row in connection.execute("SELECT * FROM sources WHERE in_home = 1")]


def touch_source(store: Store, source: SourceFile) -> None:
    """Remember a new modification time of a file whose content is what it was."""
    with store.transaction() as connection:
        values = (source.mtime_ns, source.size_bytes, source.path)
        connection.execute("UPDATE sources SET mtime_ns = ?, size_bytes = ? WHERE path = ?", values)


def put_source(store: Store, source: SourceFile) -> int:
    """Store what a file is; returns its number."""
    with store.transaction() as connection:
        connection.execute(
            "INSERT INTO sources (path, format, sha256, size_bytes, mtime_ns, label, in_home, ingested_at, duplicates)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET format = excluded.format,"
            " sha256 = excluded.sha256, size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns,"
            " label = excluded.label, ingested_at = excluded.ingested_at, duplicates = excluded.duplicates",
            (
                *(source.path, source.format, source.sha256, source.size_bytes, source.mtime_ns, source.label),
                *(source.in_home, datetime.now(UTC).isoformat(timespec="seconds"), source.duplicates),
            ),
        )
        return int(connection.execute("SELECT id FROM sources WHERE path = ?", (source.path,)).fetchone()[0])


def put_document(store: Store, source: SourceFile, chunks: Sequence[Chunk]) -> Changed:
    """Store a document's new state in one transaction; unchanged chunks keep their ids and vectors."""
    with store.transaction() as connection:
        return _put_chunks(connection, put_source(store, source), None, source.path, chunks)


def put_conversation(
    store: Store,
    source_path: str,
    transcript: Transcript,
    chunks: Sequence[Chunk],
    redactions: Mapping[str, int] | None,
    *,
    first: int = 0,
) -> Changed:
    """Store a conversation's new state, taking it over from another file where it was in one.

    Turns before ``first`` stand in the store already. Unchanged chunks keep their ids and vectors.
    """
    with store.transaction() as connection:
        source_id = connection.execute("SELECT id FROM sources WHERE path = ?", (source_path,)).fetchone()[0]
        number = put_rows(connection, source_id, transcript, redactions, first=first)
        connection.execute("UPDATE chunks SET source_id = ? WHERE conversation_id = ?", (source_id, number))
        return _put_chunks(connection, source_id, number, f"conversation:{transcript.id}", chunks)


def remove_conversations(store: Store, transcript_ids: Iterable[str]) -> int:
    """Take conversations and their chunks out of the memory; returns how many chunks went."""
    removed = 0
    with store.transaction() as connection:
        for transcript_id in transcript_ids:
            query = "SELECT id, source_id FROM conversations WHERE transcript_id = ?"
            if row := connection.execute(query, (transcript_id,)).fetchone():
                removed += _put_chunks(connection, row["source_id"], row["id"], "", []).removed
                connection.execute("DELETE FROM conversations WHERE id = ?", (row["id"],))
        # Another file may hold what was the same conversation: it is looked at again when it is given again.
        connection.execute("UPDATE sources SET sha256 = '' WHERE duplicates > 0")
    return removed


def remove_source(store: Store, path: str) -> int:
    """Take a file and all that came from it out of the memory; returns how many chunks went."""
    with store.transaction() as connection:
        row = connection.execute("SELECT id FROM sources WHERE path = ?", (path,)).fetchone()
        if row is None:
            return 0
        query = "SELECT transcript_id FROM conversations WHERE source_id = ?"
        talks = [talk[0] for talk in connection.execute(query, (row["id"],))]
        removed = remove_conversations(store, talks) if talks else 0
        removed += _put_chunks(connection, row["id"], None, path, []).removed
        connection.execute("DELETE FROM sources WHERE id = ?", (row["id"],))
        return removed


def note_duplicate(store: Store, path: str) -> None:
    """Count that a conversation of this file was taken over by another file that has more of it."""
    with store.transaction() as connection:
        connection.execute("UPDATE sources SET duplicates = duplicates + 1 WHERE path = ?", (path,))


def read_again(store: Store) -> None:
    """Have every file read whole when it is given the next time, whatever its size and time say."""
    with store.transaction() as connection:
        connection.execute("UPDATE sources SET sha256 = ''")


def _source_file(row: sqlite3.Row) -> SourceFile:
    return SourceFile(
        row["path"],
        row["format"],
        row["sha256"],
        row["size_bytes"],
        row["mtime_ns"],
        row["label"],
        bool(row["in_home"]),
        row["duplicates"],
    )


def _put_chunks(
    connection: sqlite3.Connection, source_id: int, conversation_id: int | None, origin: str, chunks: Sequence[Chunk]
) -> Changed:
    """Make the chunks of a document or conversation these; the id says what is the same.

    A moved chunk only gets its new line. The same words twice are one chunk with the stricter of the labels.
    """
    wanted: dict[str, Chunk] = {}
    for chunk in chunks:
        key = chunk_id(origin, chunk.text)
        first = wanted.get(key)
        wanted[key] = replace(first, label=strictest(first.label, chunk.label)) if first else chunk
    query = "SELECT id, number, text_hash, search_text FROM chunks WHERE source_id = ? AND conversation_id IS ?"
    present = {row["id"]: row for row in connection.execute(query, (source_id, conversation_id))}
    stale = [row for key, row in present.items() if key not in wanted or wanted[key].search_text != row["search_text"]]
    connection.executemany("DELETE FROM chunks WHERE number = ?", [(row["number"],) for row in stale])
    gone = {row["id"] for row in stale}
    fresh = {key: chunk for key, chunk in wanted.items() if key not in present or key in gone}
    connection.executemany(
        "INSERT INTO chunks (id, source_id, conversation_id, text, search_text, text_hash, kind, heading, line_start,"
        " line_end, message_id, message_ids, timestamp, trust, label) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                *(key, source_id, conversation_id, c.text, c.search_text, c.text_hash, c.kind, c.heading, c.line_start),
                *(c.line_end, c.message_id, json.dumps(c.message_ids), c.timestamp, c.trust, c.label),
            )
            for key, c in fresh.items()
        ],
    )
    connection.executemany(
        "UPDATE chunks SET line_start = ?, line_end = ?, label = ?, trust = ?, message_id = ?, message_ids = ?"
        " WHERE id = ?",
        [
            (c.line_start, c.line_end, c.label, c.trust, c.message_id, json.dumps(c.message_ids), key)
            for key, c in wanted.items()
            if key not in fresh
        ],
    )
    drop_orphan_vectors(connection, [row["text_hash"] for row in stale])
    return Changed(len(fresh), len(gone - fresh.keys()))


def drop_orphan_vectors(connection: sqlite3.Connection, hashes: Sequence[str]) -> None:
    """Delete those vectors whose text no chunk has any more."""
    before = connection.total_changes
    connection.executemany(
        "DELETE FROM vectors WHERE text_hash = ?"
        " AND NOT EXISTS (SELECT 1 FROM chunks WHERE chunks.text_hash = vectors.text_hash)",
        [(value,) for value in hashes],
    )
    if connection.total_changes != before:
        bump(connection, "vector_generation")


def bump(connection: sqlite3.Connection, counter: str) -> None:
    """Count a change of the vectors (``vector_generation``) or a forgetting (``purges``): a derived index compares."""
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = ?", (counter,))
