"""Corrects one remembered entry where it stands: same file, same place, other words."""

from pathlib import Path

from memory import memory_file
from memory.chunk import chunk_document
from memory.errors import MemoryStoreError, UsageError
from memory.files import file_lock, write_atomic
from memory.home import Home
from memory.ingest import sync_file
from memory.store import Store
from memory.values import Receipt
from memory.vectors import Vectors


def correct(home: Home, store: Store, vectors: Vectors, memory_id: str, text: str) -> Receipt:
    """Replace the entry's words in its file and index it anew. Errors: UsageError, HomeError, MemoryStoreError."""
    words = text.strip()
    rows = store.chunk_rows("id", [memory_id])
    if not rows:
        raise MemoryStoreError(f"there is no memory {memory_id}; it may have changed: search for it again")
    row = rows[0]
    path = home.root / row["source_path"]
    if not words:
        raise UsageError("an entry cannot become empty; forget it instead")
    if row["transcript_id"] or not row["in_home"] or not path.is_file():
        raise UsageError(
            "this was said in a conversation or stands in a file of somebody else; only entries of "
            "MEMORY.md and the notes can be edited here"
        )
    with file_lock(path.parent / f".{path.name}.lock"):
        lines = memory_file.read(path).splitlines()
        first, last = _place(lines, row["text"], row["line_start"], path)
        lines[first - 1 : last] = _as_lines(words, lines[first - 1])
        write_atomic(path, "\n".join(lines) + "\n")
    sync_file(home, store, path)
    vectors.fill_if_loaded()
    return Receipt(memory_id, "edited", str(path), first, " ".join(words.split()))


def _place(lines: list[str], text: str, near: int, path: Path) -> tuple[int, int]:
    """First and last line of the entry; raises UsageError when the file has changed since it was read."""
    same = [chunk for chunk in chunk_document("\n".join(lines) + "\n", path) if chunk.text == text]
    if not same:
        raise UsageError(f"{path}: this entry has changed since; search for it again")
    found = min(same, key=lambda chunk: abs(chunk.line_start - near))
    return found.line_start, found.line_end


def _as_lines(words: str, before: str) -> list[str]:
    """The new lines; a bullet stays a bullet, and its further lines stay below it."""
    bullet = memory_file.BULLET.match(before)
    if bullet is None:
        return words.splitlines()
    head = before[: bullet.start(3)]
    first, *more = words.splitlines()
    return [head + first, *(" " * len(head) + line.strip() for line in more if line.strip())]
