"""Makes the memory anew: from its files where they exist, and from what a damaged database still gives where not."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from memory.chunk import chunk_transcript
from memory.conversations import conversation, redactions_of, source_of
from memory.errors import MemoryStoreError
from memory.home import Home
from memory.ingest import ingest, sync
from memory.schema import VERSION
from memory.sources import SourceFile, known_source, put_conversation, put_source, read_again
from memory.store import Store
from memory.transcripts.model import Label, Transcript
from memory.values import IngestProgress, IngestReport

ProgressCallback = Callable[[IngestProgress], None]
SOURCE_COLUMNS = ("path", "format", "sha256", "size_bytes", "mtime_ns", "label")
FAILURES = (sqlite3.Error, MemoryStoreError, ValueError, TypeError, KeyError, IndexError)
"""What reading a damaged database may raise: SQLite's errors, and those of values that make no sense."""


@dataclass(slots=True)
class RebuildReport:
    """What a rebuilding did. ``damage`` is SQLite's word, "" for a sound database, which is kept and refreshed.

    ``put_aside``: where the damaged one lies now. ``kept``: conversations whose files are gone, taken over from it;
    ``lost``: files that are gone and of which nothing could be taken over. ``forgets``: whether what was forgotten is
    still known, so that it stays gone; ``knows_files``: whether the list of files that were read could be read.
    """

    damage: str = ""
    put_aside: str = ""
    kept: int = 0
    lost: list[str] = field(default_factory=list)
    forgets: bool = True
    knows_files: bool = True
    report: IngestReport = field(default_factory=IngestReport)


@dataclass(slots=True)
class _Salvage:
    """What could be read of a damaged database."""

    digest_key: str = ""
    forgotten: list[str] = field(default_factory=list)
    sources: list[SourceFile] = field(default_factory=list)
    talks: list[tuple[str, Transcript, dict[str, int] | None]] = field(default_factory=list)
    is_whole: bool = False
    knows_files: bool = False


def damage_of(db_file: Path) -> str:
    """What SQLite finds wrong with a database; "" when it is sound or absent. Reads all of it: 1 s for 500 MB."""
    if not db_file.exists():
        return ""
    try:
        with closing(_read_only(db_file)) as database:
            answer = str(database.execute("PRAGMA quick_check").fetchone()[0])
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
            if answer == "ok" and version:
                # A page that went back to zeros may pass the check of pages: every table must be there and be read.
                for table in ("meta", "sources", "conversations", "turns", "chunks", "vectors", "forgotten"):
                    database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
    except sqlite3.Error as error:
        return str(error)
    if version > VERSION:
        raise MemoryStoreError(f"{db_file}: written by a newer Molting (schema {version}, known: {VERSION}); update")
    return "" if answer == "ok" else answer.splitlines()[0]


def rebuild(home: Home, on_progress: ProgressCallback | None = None) -> RebuildReport:
    """Read every file of the memory anew; a damaged ``memory.db`` is put aside and what it still gives is used.

    The new database is made beside the old one and takes its place when it is whole: an interruption changes nothing.
    No other process should have the home open. Vectors are left to ``Memory.fill_vectors``. Errors: MemoryStoreError.
    """
    damage = damage_of(home.db_file)
    if not damage:
        return _refreshed(home, on_progress)
    found = _salvaged(home.db_file)
    fresh = home.db_file.with_name("memory.rebuilding.db")
    for path in _files_of(fresh):
        path.unlink()
    store = Store(fresh)
    try:
        if found.digest_key:
            store.set_meta("digest_key", found.digest_key)
            with store.transaction() as connection:
                rows = [(digest,) for digest in found.forgotten]
                connection.executemany("INSERT OR IGNORE INTO forgotten VALUES (?)", rows)
            store.close()
            store = Store(fresh)  # which reads the key once
        forgets = bool(found.digest_key) and found.is_whole
        result = RebuildReport(damage, forgets=forgets, knows_files=found.knows_files)
        result.report = _read_all(home, store, found.sources, on_progress)
        _take_over(home, store, found, result)
    finally:
        store.close()
    aside = home.db_file.with_name(f"memory.damaged-{datetime.now():%Y%m%d-%H%M%S}.db")
    for path in _files_of(home.db_file):
        path.replace(aside.with_name(aside.name + path.name.removeprefix(home.db_file.name)))
    fresh.replace(home.db_file)
    result.put_aside = str(aside)
    return result


def _refreshed(home: Home, on_progress: ProgressCallback | None) -> RebuildReport:
    """A sound database: every file that exists is read whole again, and the index of words is made anew."""
    store = Store(home.db_file)
    try:
        read_again(store)
        with store.locked() as connection:
            sources = [_source(row) for row in connection.execute("SELECT * FROM sources")]
        result = RebuildReport(report=_read_all(home, store, sources, on_progress))
        result.kept = sum(1 for source in sources if not _path(home, source).exists() and not source.in_home)
        with store.transaction() as connection:
            connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('rebuild')")
    finally:
        store.close()
    return result


def _read_all(
    home: Home, store: Store, sources: list[SourceFile], on_progress: ProgressCallback | None
) -> IngestReport:
    total = sync(home, store)
    marks: dict[Label, list[Path]] = {}
    for source in sources:
        path = _path(home, source)
        if path.is_file() and (not source.in_home or source.label != "normal"):
            marks.setdefault(source.label, []).append(path)
    for label, paths in marks.items():
        total.add(ingest(home, store, paths, label=label, on_progress=on_progress))
    return total


def _salvaged(db_file: Path) -> _Salvage:
    """Row by row, each table for itself, up to where it is damaged; a file that is no database gives nothing."""
    found = _Salvage()
    try:
        with closing(_read_only(db_file)) as database:
            keys = [row["value"] for row in _rows(database, "SELECT * FROM meta") if row["key"] == "digest_key"]
            found.digest_key = str(keys[0]) if keys else ""
            found.forgotten = [str(row[0]) for row in _rows(database, "SELECT digest FROM forgotten")]
            found.is_whole = _is_count(database, "forgotten", len(found.forgotten))
            for row in _rows(database, "SELECT * FROM sources"):
                try:
                    found.sources.append(_source(row))
                except FAILURES:
                    continue
            found.knows_files = _is_count(database, "sources", len(found.sources))
            ids = [str(row[0]) for row in _rows(database, "SELECT transcript_id FROM conversations")]
        store = Store(db_file)
    except FAILURES:
        return found
    try:
        for transcript_id in ids:
            try:
                talk = conversation(store, transcript_id)
                if talk is not None and talk.turns:
                    found.talks.append((source_of(store, transcript_id), talk, redactions_of(store, transcript_id)))
            except FAILURES:
                continue
    finally:
        store.close()
    return found


def _take_over(home: Home, store: Store, found: _Salvage, result: RebuildReport) -> None:
    """Conversations whose files are gone, and the names of files of which nothing is left."""
    known = {source.path: source for source in found.sources}
    given: set[str] = set()
    for path, talk, redactions in found.talks:
        source = known.get(path)
        if source is None or _path(home, source).exists():
            continue
        with store.transaction():
            if known_source(store, path) is None:
                put_source(store, source)
            put_conversation(store, path, talk, chunk_transcript(talk), redactions)
        given.add(path)
        result.kept += 1
    gone = [source.path for source in found.sources if not source.in_home and not _path(home, source).exists()]
    result.lost = sorted(set(gone) - given)


def _rows(database: sqlite3.Connection, query: str) -> Iterator[sqlite3.Row]:
    try:
        yield from database.execute(query)
    except FAILURES:
        return


def _is_count(database: sqlite3.Connection, table: str, count: int) -> bool:
    row = next(_rows(database, f"SELECT count(*) FROM {table}"), None)  # noqa: S608 - our own names
    return row is not None and row[0] == count


def _source(row: sqlite3.Row) -> SourceFile:
    path, kind, sha256, size, mtime, label = (row[name] for name in SOURCE_COLUMNS)
    return SourceFile(path, kind, sha256, size, mtime, label, bool(row["in_home"]), row["duplicates"])


def _path(home: Home, source: SourceFile) -> Path:
    return home.root / source.path


def _files_of(db_file: Path) -> list[Path]:
    """A database with its log and the log's index, as far as they exist."""
    names = [db_file.name + suffix for suffix in ("", "-wal", "-shm")]
    return [path for name in names if (path := db_file.with_name(name)).exists()]


def _read_only(db_file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(f"{db_file.resolve().as_uri()}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    return database
