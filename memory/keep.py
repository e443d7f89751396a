"""Keeping: the way a person writes to the memory, each write answered with a receipt and open to be taken back."""

from memory.chunk import chunk_id, split_text
from memory.errors import UsageError
from memory.home import Home
from memory.ingest import source_key, sync_file
from memory.labels import private_spans
from memory.memory_edit import Edit, add_entry, remove_lines, take_back
from memory.memory_file import parse
from memory.store import Store
from memory.transcripts.writer import now
from memory.values import Receipt
from memory.vectors import Vectors


def add(home: Home, store: Store, vectors: Vectors, text: str) -> Receipt:
    """Write one entry to MEMORY.md and index it; see ``Memory.add``. Raises UsageError for empty text, HomeError."""
    clean = " ".join(text.split())
    key = source_key(home, home.memory_file)
    shown = private_spans(clean)[0].strip()
    pieces = split_text(shown)  # a long one is found in pieces, the first stands for it
    with store.transaction() as connection:  # said anew, it may stay
        connection.executemany(
            "DELETE FROM forgotten WHERE digest = ?", [(store.digest(piece),) for piece in (shown, *pieces)]
        )
    edit = add_entry(home.memory_file, clean)
    memory_id = chunk_id(key, pieces[0]) if pieces else ""
    if edit.is_new:
        with store.transaction() as connection:
            connection.execute(
                "INSERT INTO writes (made_at, memory_id, path, byte_offset, byte_length, sha256_before, sha256_after)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (now(), memory_id, key, edit.offset, edit.length, edit.before, edit.after),
            )
    sync_file(home, store, home.memory_file)
    vectors.fill_if_loaded()
    known = store.memories([memory_id])
    action = "added" if edit.is_new else "kept"
    return Receipt(known[0].id if known else "", action, str(home.memory_file), edit.line, clean)


def undo(home: Home, store: Store, memory_id: str = "") -> Receipt:
    """Take back the last write, or the one of this memory; see ``Memory.undo``. Raises UsageError, HomeError."""
    which = "WHERE memory_id = ?" if memory_id else ""
    with store.locked() as connection:
        row = connection.execute(
            f"SELECT * FROM writes {which} ORDER BY number DESC LIMIT 1",  # noqa: S608 - only a condition of ours is put in
            (memory_id,) if memory_id else (),
        ).fetchone()
    if row is None:
        what = f"{memory_id} was not written by molt memory add" if memory_id else "nothing was written yet"
        raise UsageError(f"{what}, so there is nothing to take back; to remove a memory: molt memory forget ID")
    path = home.root / row["path"]
    known = store.memories([row["memory_id"]])
    text = known[0].text if known else ""
    edit = Edit(0, True, row["byte_offset"], row["byte_length"], row["sha256_before"], row["sha256_after"])
    if take_back(path, edit):
        action, line = "restored", 0
    else:  # something else was written since: the entry alone leaves
        action = "removed"
        line = remove_lines(path, lambda content: _lines_of_entry(content, text)) if text else 0
    with store.transaction() as connection:
        connection.execute("DELETE FROM writes WHERE number = ?", (row["number"],))
    sync_file(home, store, path)
    return Receipt(row["memory_id"], action, str(path), line, text)


def _lines_of_entry(content: str, text: str) -> tuple[int, int] | None:
    """Where the entry stands that begins with ``text``, the first piece of it that is indexed."""
    for entry in parse(content):
        shown = " ".join(private_spans(entry.text)[0].split())
        if shown == text or split_text(shown)[:1] == [text]:
            return entry.line_start, entry.line_end
    return None
