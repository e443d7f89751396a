"""Why a memory is there: where it came from, with the words around it, and when it was shown."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from memory.chunk import chunk_document
from memory.errors import UsageError
from memory.exchanges import shown_with
from memory.home import Home
from memory.memory_file import lines_of, read
from memory.store import Store
from memory.values import RecalledMemory

LINES_AROUND = 2
TURNS_AROUND = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """A reply beside which the memory was shown; ``molt`` is the one that spoke."""

    conversation: str
    message_id: str
    timestamp: str
    molt: int


@dataclass(frozen=True, slots=True)
class Why:
    """``around``: (place, words, whether it is the memory itself) in order; a place is a line number or who spoke.

    ``missing`` says why the place cannot be read any more, "" when it can.
    """

    memory: RecalledMemory
    place: str
    read_at: str
    around: tuple[tuple[str, str, bool], ...]
    shown: tuple[Shown, ...]
    missing: str = ""


def why(home: Home, store: Store, memory_id: str) -> Why:
    """All that is known about where a memory came from. Errors: UsageError when there is none of this id."""
    found = store.chunk_rows("id", [memory_id])
    if not found:
        raise UsageError(f"{memory_id}: no memory of this id; see: molt memory ls")
    row = found[0]
    with store.locked() as connection:
        query = "SELECT ingested_at FROM sources WHERE id = ?"
        read_at = connection.execute(query, (row["source_id"],)).fetchone()["ingested_at"]
    memory = store.as_memory(row)
    path = home.root / row["source_path"]
    shown = tuple(
        Shown(one["transcript_id"], one["id"], one["timestamp"], one["spoken_by"] or 0)
        for one in shown_with(store, [memory_id])
    )
    missing = "" if path.exists() else f"{path} is gone since it was read on {read_at[:10]}"
    if row["transcript_id"]:
        return Why(memory, f"{path}:{row['line_start']}", read_at, _said_around(store, row), shown, missing)
    line, around = _lines_around(path, row) if not missing else (row["line_start"], ())
    return Why(memory, f"{path}:{line}", read_at, around, shown, missing)


def _said_around(store: Store, row: sqlite3.Row) -> tuple[tuple[str, str, bool], ...]:
    with store.locked() as connection:
        turns = connection.execute(
            "SELECT position, id, role, coalesce(edited_text, text) AS said FROM turns WHERE conversation_id = ?"
            " AND role != 'tool' ORDER BY position",
            (row["conversation_id"],),
        ).fetchall()
    own = [index for index, turn in enumerate(turns) if f'"{turn["id"]}"' in row["message_ids"]]
    first, last = (own[0], own[-1]) if own else (0, 0)
    near = turns[max(0, first - TURNS_AROUND) : last + TURNS_AROUND + 1]
    speaker = {"user": "you", "assistant": "he"}
    return tuple((speaker[turn["role"]], turn["said"], f'"{turn["id"]}"' in row["message_ids"]) for turn in near)


def _lines_around(path: Path, row: sqlite3.Row) -> tuple[int, tuple[tuple[str, str, bool], ...]]:
    """(the line where it stands now, the lines there); the file may have changed since it was read."""
    content = read(path)
    lines = lines_of(content)
    same = [chunk for chunk in chunk_document(content, path) if chunk.text == row["text"]]
    chunk = min(same, key=lambda one: abs(one.line_start - row["line_start"]), default=None)
    first, last = (chunk.line_start, chunk.line_end) if chunk else (row["line_start"], row["line_end"])
    numbers = range(max(1, first - LINES_AROUND), min(len(lines), last + LINES_AROUND) + 1)
    return first, tuple((str(n), lines[n - 1], first <= n <= last) for n in numbers)
