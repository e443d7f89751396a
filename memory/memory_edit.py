"""Edits MEMORY.md and the notes one entry at a time: under a lock, atomically, every other byte left as it is."""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memory.errors import HomeError, UsageError
from memory.files import file_lock, write_atomic
from memory.memory_file import HEADING, TITLE, Entry, decode, lines_of, parse, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_HEADING = "Notes"


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry written: ``line`` counts from 1; ``is_new`` is False when the same words were there already.

    ``offset`` and ``length`` (bytes) say where the new text stands; ``before`` and ``after`` are the hex sha256 of the
    whole file ("" where there was none). So an undo needs no copy of any words.
    """

    line: int
    is_new: bool
    offset: int = 0
    length: int = 0
    before: str = ""
    after: str = ""


def add_entry(path: Path, text: str) -> Edit:
    """Write ``text`` as a bullet under the heading that shares most words with it, else under "Notes".

    Errors: UsageError for empty text, HomeError when the file cannot be read or written.
    """
    text = " ".join(text.split())
    if not text:
        raise UsageError("nothing to remember; give the text: molt memory add 'The spare key hangs by the door'")
    with _editing(path) as (target, data):
        entries = parse(decode(data))
        for entry in entries:
            if " ".join(entry.text.split()).casefold() == text.casefold():
                return Edit(entry.line_start, is_new=False)
        after_line, opening = _place(lines_of(decode(data)), entries, _fitting_heading(entries, text))
        end = _line_end(data)
        offset = _offset(data, after_line, end)
        needs_end = offset > 0 and not data[:offset].endswith(end)
        new = [*([""] if needs_end else []), *opening, f"- {text}", ""]
        inserted = end.join(line.encode("utf-8", "replace") for line in new)
        after = data[:offset] + inserted + data[offset:]
        existed = target.exists()
        write_atomic(target, after)
    line = after_line + len(opening) + 1
    return Edit(line, True, offset, len(inserted), _sha256(data) if existed else "", _sha256(after))


def remove_lines(path: Path, locate: Callable[[str], tuple[int, int] | None]) -> int:
    """Remove the lines (first, last) that ``locate`` finds in the content; returns the first, 0 when it finds none."""
    with _editing(path) as (target, data):
        found = locate(decode(data))
        if found is None:
            return 0
        end = _line_end(data)
        write_atomic(target, data[: _offset(data, found[0] - 1, end)] + data[_offset(data, found[1], end) :])
    return found[0]


def cut_texts(path: Path, needles: Sequence[bytes]) -> list[tuple[int, str]]:
    """Cut texts out wherever they stand between other words; returns (line, what was cut) of each, as they stood.

    ``needles`` are word by word as ``trust.words`` gives them. A line that has no word left goes too.
    """
    parts = (r"(?:[^\w\n]+|[^\w\n]*\n[^\w\n]*)".join(map(re.escape, n.decode().split())) for n in needles)
    pattern = re.compile("|".join(rf"(?<!\w){part}(?!\w)" for part in parts), re.IGNORECASE)
    with _editing(path) as (target, data):
        text = data.decode("utf-8", "surrogateescape")  # gives every byte back as it was
        found = [(match.start(), match.end()) for match in pattern.finditer(text)]
        left = text
        for start, end in reversed(found):
            first, last = left.rfind("\n", 0, start) + 1, left.find("\n", end)
            last = len(left) if last < 0 else last + 1
            rest = left[first:start] + left[end:last]
            left = left[:first] + (rest if re.search(r"\w", rest) else "") + left[last:]
        if found:
            write_atomic(target, left.encode("utf-8", "surrogateescape"))
    return [(text.count("\n", 0, start) + 1, " ".join(text[start:end].split())) for start, end in found]


def take_back(path: Path, edit: Edit) -> bool:
    """Make the file what it was before ``edit``, byte for byte; False when it was changed since (nothing is done)."""
    with _editing(path) as (target, data):
        old = data[: edit.offset] + data[edit.offset + edit.length :]
        if _sha256(data) != edit.after or (edit.before and _sha256(old) != edit.before):
            return False
        if edit.before:
            write_atomic(target, old)
        else:
            target.unlink()
    return True


@contextmanager
def _editing(path: Path) -> "Iterator[tuple[Path, bytes]]":
    """(where the file really is, its bytes) under its lock; what a killed writer left beside it is cleared away."""
    target = path.resolve()  # a linked MEMORY.md stays a link
    try:
        with file_lock(path.parent / f".{path.name}.lock"):
            _clear_left(target)
            data = read_bytes(target)
            if target.exists() and not target.stat().st_mode & 0o200:
                raise HomeError(f"{path}: is read-only; make it writable first: chmod u+w {path}")
            yield target, data
    except OSError as error:
        raise HomeError(f"{path}: cannot be written ({error.strerror}); it is what it was before") from error


def _clear_left(target: Path) -> None:
    left = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}")  # as ``tempfile`` names them; an editor's are not
    for path in target.parent.iterdir():
        if left.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _fitting_heading(entries: list[Entry], text: str) -> str:
    """The heading whose entries share at least two longer words with ``text``; "" when none does."""
    words = _words(text)
    shared: dict[str, int] = {}
    for entry in entries:
        if entry.heading and entry.is_bullet:
            common = len(words & (_words(entry.text) | _words(entry.heading)))
            shared[entry.heading] = max(shared.get(entry.heading, 0), common)
    best = max(shared, key=lambda name: shared[name], default="")
    return best if best and shared[best] >= 2 else ""


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.casefold()) if len(word) > 3}


def _place(lines: list[str], entries: list[Entry], heading: str) -> tuple[int, list[str]]:
    """(the line after which the new bullet comes, the lines that have to come before it)."""
    heading = heading or DEFAULT_HEADING
    under = [entry for entry in entries if entry.heading == heading]
    if under:
        return under[-1].line_end, []
    for number, line in enumerate(lines, 1):
        found = HEADING.match(line)
        if found and len(found[1]) > 1 and found[2] == heading:
            return number, []
    opening = [] if lines else [f"# {TITLE}"]
    opening += [""] if opening or lines[-1].strip() else []
    return len(lines), [*opening, f"## {heading}"]


def _line_end(data: bytes) -> bytes:
    """What ends the lines of this file; a new one has line feeds."""
    if b"\n" not in data:
        return b"\r" if b"\r" in data else b"\n"
    return b"\r\n" if data[: data.index(b"\n") + 1].endswith(b"\r\n") else b"\n"


def _offset(data: bytes, line: int, end: bytes) -> int:
    """The byte after line number ``line`` with its end; 0 for line 0, the end of the file where it has no more."""
    offset, mark = 0, end[-1:]
    for _ in range(line):
        found = data.find(mark, offset)
        if found < 0:
            return len(data)
        offset = found + 1
    return offset


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
