"""What was read: files, the conversations in them with their turns, and the chunks that came of them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from memory.chunk import Chunk, chunk_id
from memory.store import Store, in_parts, marks
from memory.transcripts.model import Label, Transcript, Turn


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One ingested file as it was when it was read. ``path`` is relative to the home for its own files."""

    path: str
    format: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    label: Label = "normal"
    in_home: bool = False


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


def put_source(store: Store, source: SourceFile, transcript: Transcript | None, chunks: Sequence[Chunk]) -> Changed:
    """Store a file's new state in one transaction: unchanged chunks keep their ids and vectors, others come and go."""
    with store.transaction() as connection:
        connection.execute(
            "INSERT INTO sources (path, format, sha256, size_bytes, mtime_ns, label, in_home, ingested_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET format = excluded.format,"
            " sha256 = excluded.sha256, size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns,"
            " label = excluded.label, ingested_at = excluded.ingested_at",
            (
                *(source.path, source.format, source.sha256, source.size_bytes, source.mtime_ns),
                *(source.label, source.in_home, datetime.now(UTC).isoformat(timespec="seconds")),
            ),
        )
        source_id = connection.execute("SELECT id FROM sources WHERE path = ?", (source.path,)).fetchone()[0]
        conversation_id = _put_conversation(connection, source_id, transcript) if transcript else None
        origin = f"conversation:{transcript.id}" if transcript else source.path
        return _put_chunks(connection, source_id, conversation_id, origin, chunks)


def remove_source(store: Store, path: str) -> int:
    """Take a file and all that came from it out of the memory; returns how many chunks went."""
    with store.transaction() as connection:
        row = connection.execute("SELECT id FROM sources WHERE path = ?", (path,)).fetchone()
        if row is None:
            return 0
        changed = _put_chunks(connection, row["id"], None, path, [])
        connection.execute("DELETE FROM sources WHERE id = ?", (row["id"],))
        return changed.removed


def conversation_source(store: Store, transcript_id: str) -> tuple[str, int] | None:
    """(path, number of turns) of a stored conversation; None when it is not known."""
    with store.locked() as connection:
        row = connection.execute(
            "SELECT s.path, (SELECT count(*) FROM turns t WHERE t.conversation_id = c.id) AS turns"
            " FROM conversations c JOIN sources s ON s.id = c.source_id WHERE c.transcript_id = ?",
            (transcript_id,),
        ).fetchone()
    return (row["path"], row["turns"]) if row else None


def turn_ids_elsewhere(store: Store, ids: Iterable[str], transcript_id: str) -> set[str]:
    """Those of ``ids`` that another conversation holds already (a resumed session repeats its beginning)."""
    found: set[str] = set()
    with store.locked() as connection:
        for part in in_parts(list(ids)):
            rows = connection.execute(
                "SELECT DISTINCT t.id FROM turns t JOIN conversations c ON c.id = t.conversation_id"  # noqa: S608 - only marks are put in
                f" WHERE t.id IN ({marks(part)}) AND c.transcript_id != ? AND c.format = 'claude-code'",
                (*part, transcript_id),
            )
            found.update(row["id"] for row in rows)
    return found


def conversations(store: Store) -> Iterator[Transcript]:
    """Every conversation with its turns, oldest first; each is read when it is asked for."""
    with store.locked() as connection:
        rows = connection.execute(
            "SELECT c.*, s.path AS source_path, s.in_home FROM conversations c JOIN sources s ON s.id = c.source_id"
            " ORDER BY c.started_at, c.transcript_id"
        ).fetchall()
    for row in rows:
        with store.locked() as connection:
            turns = connection.execute(
                "SELECT * FROM turns WHERE conversation_id = ? ORDER BY position", (row["id"],)
            ).fetchall()
        yield Transcript(
            id=row["transcript_id"],
            format=row["format"],
            path=store.path.parent / row["source_path"],
            turns=tuple(_turn(turn) for turn in turns),
            own=bool(row["own"]),
            started_at=row["started_at"],
            title=row["title"],
            dropped=json.loads(row["dropped"]),
        )


def _source_file(row: sqlite3.Row) -> SourceFile:
    return SourceFile(
        row["path"],
        row["format"],
        row["sha256"],
        row["size_bytes"],
        row["mtime_ns"],
        row["label"],
        bool(row["in_home"]),
    )


def _turn(row: sqlite3.Row) -> Turn:
    return Turn(
        id=row["id"],
        role=row["role"],
        text=row["text"],
        line=row["line"],
        rationale=row["rationale"],
        timestamp=row["timestamp"],
        trust=row["trust"],
        label=row["label"],
        spoken_by=row["spoken_by"],
        base_sha256=row["base_sha256"],
        shown_memories=tuple(json.loads(row["shown_memories"])),
        approved=None if row["approved"] is None else bool(row["approved"]),
        edited_text=row["edited_text"],
        stopped=bool(row["stopped"]),
    )


def _put_conversation(connection: sqlite3.Connection, source_id: int, transcript: Transcript) -> int:
    connection.execute(
        "INSERT INTO conversations (source_id, transcript_id, format, own, started_at, title, dropped)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source_id) DO UPDATE SET transcript_id = excluded.transcript_id,"
        " own = excluded.own, started_at = excluded.started_at, title = excluded.title, dropped = excluded.dropped",
        (
            *(source_id, transcript.id, transcript.format, transcript.own, transcript.started_at, transcript.title),
            json.dumps(transcript.dropped),
        ),
    )
    row = connection.execute("SELECT id FROM conversations WHERE source_id = ?", (source_id,)).fetchone()
    conversation_id = int(row[0])
    connection.execute("DELETE FROM turns WHERE conversation_id = ?", (conversation_id,))
    connection.executemany(
        f"INSERT INTO turns VALUES ({marks(range(16))})",  # noqa: S608 - only marks are put in
        [
            (
                *(conversation_id, position, turn.id, turn.role, turn.text, turn.line, turn.rationale, turn.timestamp),
                *(turn.trust, turn.label, turn.spoken_by, turn.base_sha256, json.dumps(turn.shown_memories)),
                *(turn.approved, turn.edited_text, turn.stopped),
            )
            for position, turn in enumerate(transcript.turns)
        ],
    )
    return conversation_id


def _put_chunks(
    connection: sqlite3.Connection, source_id: int, conversation_id: int | None, origin: str, chunks: Sequence[Chunk]
) -> Changed:
    """Make the source's chunks these: the id says what is the same; a moved chunk only gets its new line."""
    wanted = {chunk_id(origin, chunk.text): chunk for chunk in reversed(chunks)}
    present = {
        row["id"]: row
        for row in connection.execute(
            "SELECT id, number, text_hash, search_text FROM chunks WHERE source_id = ?", (source_id,)
        )
    }
    stale = [row for key, row in present.items() if key not in wanted or wanted[key].search_text != row["search_text"]]
    connection.executemany("DELETE FROM chunks WHERE number = ?", [(row["number"],) for row in stale])
    gone = {row["id"] for row in stale}
    fresh = {key: chunk for key, chunk in reversed(wanted.items()) if key not in present or key in gone}
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
