"""MEMORY.md and the daily notes: parsed into entries with their lines, edited one line at a time, atomically."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from memory.errors import HomeError, UsageError
from memory.files import file_lock, write_atomic

TITLE = "MEMORY"
DEFAULTHEADING = "Notes"
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_BULLET = re.compile(r"^(\s*)([-*+]|\d+[.)])\s+(.*\S)\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One remembered thing: a bullet with its continuation lines, or a paragraph. Lines count from 1, both included."""

    text: str
    heading: str
    line_start: int
    line_end: int
    is_bullet: bool


def parse(content: str) -> list[Entry]:
    """Entries of a markdown text in order; ``heading`` is the path below the title, joined by " > ".

    Every top-level bullet is an entry of its own (nested bullets belong to it); other text is split at blank lines, and
    a fenced block is never split.
    """
    entries: list[Entry] = []
    headings: list[tuple[int, str]] = []
    block: list[str] = []
    block_start = 0
    is_bullet = in_fence = False

    def close(line_end: int) -> None:
        text = "\n".join(block).strip("\n")
        if text.strip():
            path = " > ".join(name for _, name in headings if name != TITLE)
            entries.append(Entry(text.strip(), path, block_start, line_end, is_bullet))
        block.clear()

    for number, line in enumerate(content.splitlines(), 1):
        fence = bool(_FENCE.match(line))
        if in_fence or fence:
            if not block:
                block_start, is_bullet = number, False
            block.append(line)
            in_fence = in_fence != fence
            continue
        heading = HEADING.match(line)
        bullet = _BULLET.match(line)
        if heading:
            close(number - 1)
            level = len(heading[1])
            headings = [item for item in headings if item[0] < level] + [(level, heading[2])]
        elif not line.strip():
            close(number - 1)
        elif bullet and (not bullet[1] or not block):
            close(number - 1)
            block_start, is_bullet = number, True
            block.append(bullet[3])
        else:
            if not block:
                block_start, is_bullet = number, False
            block.append(line.strip() if is_bullet else line.rstrip())
    close(len(content.splitlines()))
    return entries


def read(path: Path) -> str:
    """The file's text; "" when there is none. Invalid UTF-8 is replaced. Raises HomeError when it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig", errors="replace").replace("\0", "")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HomeError(f"{path}: cannot be read ({error.strerror}); check that it is a file of yours") from error


def add_entry(path: Path, text: str) -> tuple[int, bool]:
    """Write ``text`` as a bullet under the heading that shares most words with it, else under "Notes".

    Returns (line, added): added is False when the same words are there already. Raises UsageError for empty text.
    """
    text = " ".join(text.split())
    if not text:
        raise UsageError("nothing to remember; give the text: molt memory add 'The spare key hangs by the door'")
    with file_lock(_lock_of(path)):
        content = read(path)
        entries = parse(content)
        for entry in entries:
            if " ".join(entry.text.split()).casefold() == text.casefold():
                return entry.line_start, False
        lines = content.splitlines()
        heading = _fitting_heading(entries, text)
        line = _place(lines, entries, heading)
        lines.insert(line - 1, f"- {text}")
        write_atomic(path, "\n".join(lines) + "\n")
    return line, True


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


def _place(lines: list[str], entries: list[Entry], heading: str) -> int:
    """The line number the new bullet gets; adds the "Notes" heading to ``lines`` where it is needed and missing."""
    heading = heading or DEFAULTHEADING
    under = [entry for entry in entries if entry.heading == heading]
    if under:
        return under[-1].line_end + 1
    for number, line in enumerate(lines, 1):
        found = HEADING.match(line)
        if found and len(found[1]) > 1 and found[2] == heading:
            return number + 1
    if not lines:
        lines.append(f"# {TITLE}")
    if lines[-1].strip():
        lines.append("")
    lines.append(f"## {heading}")
    return len(lines) + 1


def remove_lines(path: Path, locate: Callable[[str], tuple[int, int] | None]) -> int:
    """Remove the lines (first, last) that ``locate`` finds in the content; returns the first, 0 when it finds none."""
    with file_lock(_lock_of(path)):
        content = read(path)
        found = locate(content)
        if found is None:
            return 0
        lines = content.splitlines()
        del lines[found[0] - 1 : found[1]]
        write_atomic(path, "\n".join(lines) + ("\n" if lines else ""))
    return found[0]


def _lock_of(path: Path) -> Path:
    return path.parent / f".{path.name}.lock"
