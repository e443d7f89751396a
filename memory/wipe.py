"""Wipes what a deletion leaves behind: dead terms of the text index, old pages of the WAL, vectors, lines of logs."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from memory.errors import HomeError
from memory.files import write_atomic
from memory.home import Home
from memory.sources import bump
from memory.store import Store
from memory.telling import tells
from memory.vectors import Vectors


def wipe(home: Home, store: Store, vectors: Vectors, telling: Collection[str]) -> None:
    """Leave no byte of what was just deleted. SQLite overwrites deleted rows itself (``secure_delete``).

    ``telling`` are the words, in small letters, by which a line of a log is known to speak of it.
    """
    with store.transaction() as connection:
        bump(connection, "purges")
        connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('optimize')")
    with store.locked() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    vectors.purge()
    for log in home.logs_dir.glob("*"):
        with suppress(OSError):  # a log that cannot be rewritten must not stop a forgetting that is done
            lines = log.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not tells(line.decode("utf-8", "replace"), telling)]
            if len(kept) < len(lines):
                write_atomic(log, b"".join(kept))


def delete_copies(home: Home) -> list[Path]:
    """Delete databases that were put aside as damaged, or left half made by a rebuilding; gives what is gone.

    Nothing can be taken out of a damaged file with certainty, and what it still gave was taken over when it was put
    aside. Errors: HomeError, since a copy that stays would hold what was forgotten.
    """
    copies = sorted({*home.root.glob("memory.damaged-*"), *home.root.glob("memory.rebuilding.db*")})
    for path in copies:
        try:
            path.unlink()
        except OSError as error:
            raise HomeError(f"{path}: cannot be deleted ({error.strerror}); it may hold what you forget") from error
    return copies
