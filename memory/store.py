"""SQLite, the truth: one connection to ``memory.db``, and chunks as they are handed out."""

import hashlib
import hmac
import sqlite3
import threading
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path

from memory.errors import MemoryStoreError
from memory.schema import damage_advice, open_database
from memory.values import RecalledMemory

PARAMETERS_PER_QUERY = 500

SHORT_ID = 16


class Store:
    """One connection, one lock: safe from several threads, and other processes read on while this one writes (WAL)."""

    def __init__(self, db_file: Path) -> None:
        self.path = db_file
        self._lock = threading.RLock()
        self._is_closed = False
        self._connection = open_database(db_file)
        self._digest_key = bytes.fromhex(self.meta("digest_key"))

    @contextmanager
    def locked(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone; SQLite's errors leave as MemoryStoreError."""
        with self._lock:
            if self._is_closed:
                raise MemoryStoreError(f"{self.path}: closed already")
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise MemoryStoreError(damage_advice(self.path, error)) from error

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing, nested ones too. ``keep=False`` undoes everything at the end (a rehearsal)."""
        with self.locked() as connection:
            is_inner = connection.in_transaction
            connection.execute("SAVEPOINT inner_part" if is_inner else "BEGIN IMMEDIATE")

            def undo() -> None:
                connection.execute("ROLLBACK TO inner_part" if is_inner else "ROLLBACK")
                if is_inner:
                    connection.execute("RELEASE inner_part")

            try:
                yield connection
            except BaseException:
                if connection.in_transaction:  # where the disk is full, SQLite has undone it by itself
                    undo()
                raise
            if not keep:
                undo()
            else:
                connection.execute("RELEASE inner_part" if is_inner else "COMMIT")

    def memories(self, ids: Sequence[str]) -> list[RecalledMemory]:
        """Chunks by id, in the order asked for; unknown ids are absent."""
        rows = {row["id"]: row for row in self.chunk_rows("id", list(ids))}
        return [self.as_memory(rows[chunk]) for chunk in ids if chunk in rows]

    def newest(self, limit: int) -> list[RecalledMemory]:
        """The newest chunks; entries of the person's own files come before conversations."""
        with self.locked() as connection:
            rows = connection.execute(
                "SELECT c.*, s.path AS source_path, s.in_home, t.transcript_id FROM chunks c"
                " JOIN sources s ON s.id = c.source_id LEFT JOIN conversations t ON t.id = c.conversation_id"
                " ORDER BY c.kind = 'exchange', s.in_home DESC, c.timestamp DESC, c.source_id, c.line_start LIMIT ?",
                (limit,),
            ).fetchall()
        return [self.as_memory(row) for row in rows]

    def chunk_rows(self, column: str, values: Sequence[object]) -> list[sqlite3.Row]:
        """Chunks with their source and conversation, by ``id``, ``number`` or ``text_hash``."""
        rows: list[sqlite3.Row] = []
        with self.locked() as connection:
            for part in in_parts(values):
                rows += connection.execute(
                    "SELECT c.*, s.path AS source_path, s.in_home, t.transcript_id FROM chunks c"  # noqa: S608 - only marks and a column of ours are put in
                    " JOIN sources s ON s.id = c.source_id LEFT JOIN conversations t ON t.id = c.conversation_id"
                    f" WHERE c.{column} IN ({marks(part)})",
                    part,
                ).fetchall()
        return rows

    def as_memory(self, row: sqlite3.Row, score: float = 0.0, parts: dict[str, float] | None = None) -> RecalledMemory:
        """A chunk row as the value that is handed out."""
        source = str(self.path.parent / row["source_path"])
        return RecalledMemory(
            id=row["id"],
            text=row["text"],
            heading=row["heading"],
            citation=_citation(row),
            score=score,
            parts=parts or {},
            trust=row["trust"],
            label=row["label"],
            source=source,
            message_id=row["message_id"],
            timestamp=row["timestamp"],
            conversation=row["transcript_id"] or "",
        )

    def digest(self, text: str) -> str:
        """A keyed digest by which a forgotten text is recognised; without the key it says nothing about the text."""
        normal = " ".join(text.split()).casefold()
        return hmac.new(self._digest_key, normal.encode(), hashlib.sha256).hexdigest()

    def forgotten(self) -> set[str]:
        """Digests of what may not come back."""
        with self.locked() as connection:
            return {row[0] for row in connection.execute("SELECT digest FROM forgotten")}

    def stats(self, embedder: str) -> dict[str, int]:
        """Counts of what is stored; ``vectors_missing`` are chunks without a vector of this embedder."""
        queries = {
            "sources": "SELECT count(*) FROM sources",
            "conversations": "SELECT count(*) FROM conversations",
            "turns": "SELECT count(*) FROM turns",
            "memories": "SELECT count(*) FROM chunks",
            "forgotten": "SELECT count(*) FROM forgotten",
        }
        with self.locked() as connection:
            counts = {name: connection.execute(query).fetchone()[0] for name, query in queries.items()}
            counts["vectors"] = connection.execute(
                "SELECT count(*) FROM vectors WHERE embedder = ?", (embedder,)
            ).fetchone()[0]
            counts["vectors_missing"] = connection.execute(
                "SELECT count(DISTINCT text_hash) FROM chunks WHERE text_hash NOT IN"
                " (SELECT text_hash FROM vectors WHERE embedder = ?)",
                (embedder,),
            ).fetchone()[0]
        return counts

    def close(self) -> None:
        """Close the database; safe to call twice."""
        with self._lock:
            self._is_closed = True
            self._connection.close()

    def meta(self, key: str) -> str:
        """One of the store's own values: digest_key, vector_generation, purges, label_rules, embedder; "" if unset."""
        with self.locked() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return str(row[0]) if row else ""

    def set_meta(self, key: str, value: str) -> None:
        """Change one of the store's own values."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def marks(values: Sized) -> str:
    """A question mark for each of ``values``."""
    return ",".join("?" * len(values))


def in_parts(values: Sequence[object]) -> Iterator[tuple[object, ...]]:
    """``values`` in pieces that fit into one query."""
    for start in range(0, len(values), PARAMETERS_PER_QUERY):
        yield tuple(values[start : start + PARAMETERS_PER_QUERY])


def _citation(row: sqlite3.Row) -> str:
    """Where to look: path and lines for a document, day, transcript and message for a conversation."""
    if row["transcript_id"]:
        message = row["message_id"]  # ids that a reader numbered are short, and alike in their first letters
        short = message if len(message) <= SHORT_ID else message[:8]
        return f"{row['timestamp'][:10]} {row['transcript_id'][:8]} message {short}".strip()
    path = row["source_path"]
    home = str(Path.home())
    if path.startswith(home + "/"):
        path = "~" + path[len(home) :]
    lines = f"{row['line_start']}" + (f"-{row['line_end']}" if row["line_end"] > row["line_start"] else "")
    return f"{path}:{lines}"
