"""The tables of ``memory.db``, how the file is opened, and how an older one is brought up to date."""

import secrets
import sqlite3
from pathlib import Path

from memory.errors import MemoryStoreError

VERSION = 3
BUSY_TIMEOUT_MS = 30_000

# The full-text table holds no text of its own (external content), so that a chunk is stored once; triggers keep it in
# step. Porter stems carry English plurals ("backup", "backups"); remove_diacritics 2 lets "maca" find "maçã".
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,          -- relative to the home for its own files, absolute for others
  format TEXT NOT NULL,               -- markdown, text, zip or a log format
  sha256 TEXT NOT NULL,               -- '' when the file has to be read again whatever is in it
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  label TEXT NOT NULL,                -- what the person marked it with; rules and spans are in turns and chunks
  in_home INTEGER NOT NULL,
  ingested_at TEXT NOT NULL,
  duplicates INTEGER NOT NULL DEFAULT 0  -- conversations in it that another file gave
);
CREATE TABLE conversations (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources ON DELETE CASCADE,
  transcript_id TEXT NOT NULL UNIQUE,
  format TEXT NOT NULL,
  own INTEGER NOT NULL,
  started_at TEXT NOT NULL,
  title TEXT NOT NULL,
  dropped TEXT NOT NULL,              -- JSON: kind -> count
  alternatives TEXT NOT NULL,         -- JSON list of [message id, text, rationale]
  redactions TEXT NOT NULL,           -- JSON: kind -> count; '' when it was stored before texts were scrubbed
  resume_at TEXT NOT NULL             -- JSON: [byte offset, line]
);
CREATE INDEX conversations_by_source ON conversations (source_id);
CREATE TABLE turns (
  conversation_id INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  role TEXT NOT NULL,
  text TEXT NOT NULL,
  line INTEGER NOT NULL,
  rationale TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  trust TEXT NOT NULL,
  label TEXT NOT NULL,
  spoken_by INTEGER,
  base_sha256 TEXT NOT NULL,
  shown_memories TEXT NOT NULL,       -- JSON list of chunk ids
  approved INTEGER,
  edited_text TEXT,
  stopped INTEGER NOT NULL,
  tool_calls TEXT NOT NULL,           -- JSON list of [id, name, arguments, result, failed]
  pasted TEXT NOT NULL,               -- JSON list of [start, end] in text
  PRIMARY KEY (conversation_id, position)
) WITHOUT ROWID;
CREATE INDEX turns_by_id ON turns (id);
CREATE TABLE chunks (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  source_id INTEGER NOT NULL REFERENCES sources ON DELETE CASCADE,
  conversation_id INTEGER REFERENCES conversations ON DELETE CASCADE,
  text TEXT NOT NULL,
  search_text TEXT NOT NULL,
  text_hash TEXT NOT NULL,
  kind TEXT NOT NULL,                 -- entry, section, exchange
  heading TEXT NOT NULL,
  line_start INTEGER NOT NULL,
  line_end INTEGER NOT NULL,
  message_id TEXT NOT NULL,
  message_ids TEXT NOT NULL,          -- JSON list
  timestamp TEXT NOT NULL,
  trust TEXT NOT NULL,
  label TEXT NOT NULL
);
CREATE INDEX chunks_by_source ON chunks (source_id);
CREATE INDEX chunks_by_conversation ON chunks (conversation_id);
CREATE INDEX chunks_by_hash ON chunks (text_hash);
CREATE VIRTUAL TABLE chunks_fts USING fts5 (
  search_text, content='chunks', content_rowid='number', tokenize='porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER chunks_added AFTER INSERT ON chunks BEGIN
  INSERT INTO chunks_fts (rowid, search_text) VALUES (new.number, new.search_text);
END;
CREATE TRIGGER chunks_removed AFTER DELETE ON chunks BEGIN
  INSERT INTO chunks_fts (chunks_fts, rowid, search_text) VALUES ('delete', old.number, old.search_text);
END;
CREATE TABLE vectors (
  text_hash TEXT NOT NULL,
  embedder TEXT NOT NULL,
  vector BLOB NOT NULL,               -- float32, little endian, length 1
  PRIMARY KEY (text_hash, embedder)
) WITHOUT ROWID;
CREATE TABLE forgotten (digest TEXT PRIMARY KEY) WITHOUT ROWID;  -- keyed digests: they say nothing about the text
"""

# What a person can take back, and what they need not be asked again: places and digests, never words.
KEEPING = """
CREATE TABLE writes (
  number INTEGER PRIMARY KEY,
  made_at TEXT NOT NULL,
  memory_id TEXT NOT NULL,
  path TEXT NOT NULL,                 -- as in sources
  byte_offset INTEGER NOT NULL,
  byte_length INTEGER NOT NULL,
  sha256_before TEXT NOT NULL,        -- of the whole file; '' where there was none
  sha256_after TEXT NOT NULL
);
CREATE TABLE reviewed (digest TEXT PRIMARY KEY, verdict TEXT NOT NULL) WITHOUT ROWID;  -- keyed, as forgotten
"""

# Version 1 knew one conversation a file and did not scrub. Everything is kept; files of conversations are read again
# the next time, for what was left out then. A table with a constraint too many can only be made anew and renamed.
FROM_1 = """
ALTER TABLE sources ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0;
CREATE TABLE conversations_2 (
  id INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources ON DELETE CASCADE,
  transcript_id TEXT NOT NULL UNIQUE,
  format TEXT NOT NULL,
  own INTEGER NOT NULL,
  started_at TEXT NOT NULL,
  title TEXT NOT NULL,
  dropped TEXT NOT NULL,
  alternatives TEXT NOT NULL,
  redactions TEXT NOT NULL,
  resume_at TEXT NOT NULL
);
INSERT INTO conversations_2
  SELECT id, source_id, transcript_id, format, own, started_at, title, dropped, '[]', '', '[0, 0]' FROM conversations;
DROP TABLE conversations;
ALTER TABLE conversations_2 RENAME TO conversations;
CREATE INDEX conversations_by_source ON conversations (source_id);
CREATE INDEX chunks_by_conversation ON chunks (conversation_id);
ALTER TABLE turns ADD COLUMN tool_calls TEXT NOT NULL DEFAULT '[]';
ALTER TABLE turns ADD COLUMN pasted TEXT NOT NULL DEFAULT '[]';
UPDATE sources SET sha256 = '' WHERE id IN (SELECT source_id FROM conversations);
INSERT INTO meta VALUES ('label_rules', '');
"""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the database: WAL, foreign keys, deleted content overwritten. Raises MemoryStoreError.

    ``synchronous=FULL`` because what was acknowledged must survive a power cut; commits are per file: it costs little.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").fetchone()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise MemoryStoreError(f"{path}: written by a newer Molting (schema {version}, known: {VERSION}); update")
        if version < VERSION:
            _bring_up_to_date(connection)
    except sqlite3.DatabaseError as error:
        raise MemoryStoreError(damage_advice(path, error)) from error
    except OSError as error:
        raise MemoryStoreError(f"{path}: cannot be opened ({error.strerror}); is the folder yours?") from error
    path.chmod(0o600)
    return connection


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make or change the tables in one transaction; two processes may arrive here at once."""
    connection.execute("PRAGMA foreign_keys=OFF")  # dropping a table would delete what refers to it
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            _run(connection, TABLES + KEEPING)
            values = {"digest_key": secrets.token_hex(16), "vector_generation": "0", "purges": "0", "label_rules": ""}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
        elif version == 1:
            _run(connection, FROM_1 + KEEPING)
        elif version == 2:
            _run(connection, KEEPING)
        connection.execute(f"PRAGMA user_version={VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    connection.execute("PRAGMA foreign_keys=ON")


def _run(connection: sqlite3.Connection, script: str) -> None:
    statement = ""
    for line in script.splitlines(keepends=True):  # executescript would commit, so statements go one by one
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def damage_advice(path: Path, error: Exception) -> str:
    """One line that names the file, the fault and the way out."""
    if "locked" in str(error) or "busy" in str(error):
        return f"{path}: another process has been writing for {BUSY_TIMEOUT_MS // 1000} s; try again when it is done"
    if "full" in str(error):
        return f"{path}: the disk is full; free some space and do the same again: what was finished is kept"
    if "readonly" in str(error) or "read-only" in str(error) or "unable to open" in str(error):
        return f"{path}: cannot be written ({error}); is the folder yours, and is the disk mounted for writing?"
    return f"{path}: SQLite says {error}; if it is damaged, close the app and run: molt memory rebuild"
