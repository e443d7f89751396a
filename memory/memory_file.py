"""MEMORY.md and the daily notes: parsed into entries with their lines (edited by ``memory.memory_edit``)."""

import re
from dataclasses import dataclass
from pathlib import Path

from memory.errors import HomeError

TITLE = "MEMORY"
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
BULLET = re.compile(r"^(\s*)([-*+]|\d+[.)])\s+(.*\S)\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One remembered thing: a bullet with its continuation lines, or a paragraph. Lines count from 1, both included."""

    text: str
    heading: str
    line_start: int
    line_end: int
    is_bullet: bool


def lines_of(content: str) -> list[str]:
    """The lines as an editor counts them, without their ends: a form feed or U+2028 within a line ends none."""
    if "\n" not in content:
        content = content.replace("\r", "\n")
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    return lines if lines[-1] else lines[:-1]


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
    lines = lines_of(content)

    def close(line_end: int) -> None:
        text = "\n".join(block).strip("\n")
        if text.strip():
            path = " > ".join(name for _, name in headings if name != TITLE)
            entries.append(Entry(text.strip(), path, block_start, line_end, is_bullet))
        block.clear()

    for number, line in enumerate(lines, 1):
        fence = bool(_FENCE.match(line))
        if in_fence or fence:
            if not block:
                block_start, is_bullet = number, False
            block.append(line)
            in_fence = in_fence != fence
            continue
        heading = HEADING.match(line)
        bullet = BULLET.match(line)
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
    close(len(lines))
    return entries


def read(path: Path) -> str:
    """The file's text; "" when there is none. Invalid UTF-8 is replaced. Raises HomeError when it cannot be read."""
    return decode(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """The file's bytes; b"" when there is none. Raises HomeError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise HomeError(f"{path}: cannot be read ({error.strerror}); check that it is a file of yours") from error


def decode(data: bytes) -> str:
    """The text of a file, line by line the same as its bytes: without a BOM and NULs, invalid UTF-8 replaced."""
    return data.decode("utf-8-sig", errors="replace").replace("\0", "")
