"""Reading JSON Lines that may be torn, huge or damaged: every good line is kept, every bad one is reported once."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from memory.transcripts.model import Skipped
from memory.transcripts.parse import UnreadableError, parse_json

MAX_LINE_BYTES = 32 * 1024 * 1024
"""A longer line is passed over in pieces: it is one pasted file, and would cost several times its size in memory."""
PIECE_BYTES = 1024 * 1024
BOM = b"\xef\xbb\xbf"
GLUE = re.compile(rb"\}\s*\{\"")
MOST_BORDERS = 16
"""Each is tried by parsing what is before it, so that a long damaged line must not have many."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """The bytes of one log, on disk or in a zip, opened as often as they are needed; ``path`` is what it is called."""

    path: Path
    open: Callable[[], IO[bytes]]

    @classmethod
    def on_disk(cls, path: Path) -> "LogFile":
        """A file by its path."""
        return cls(path, lambda: path.open("rb"))


def read_json_lines(path: Path, skipped: list[Skipped]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of each readable line of a file; see ``read_records``."""
    for number, _, record in read_records(LogFile.on_disk(path), skipped):
        yield number, record


def read_records(
    log: LogFile, skipped: list[Skipped], start: tuple[int, int] = (0, 0)
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield (line number from 1, byte offset of the line, object) of each readable line from ``start`` on.

    ``start`` is (byte offset, lines before it). What is not readable is appended to ``skipped``; a line that could be
    mended is kept and reported. Raises OSError when the file cannot be opened.
    """
    offset, number = start
    with closing(log.open()) as file:
        if offset:
            file.seek(offset)
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            here, offset = offset, offset + len(line)
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                length = len(line)
                del line  # or it would stand in memory beside the next one
                length += _pass_over_rest(file)
                offset = here + length
                skipped.append(Skipped(log.path, number, f"{length:,} bytes, over the limit of {MAX_LINE_BYTES:,}"))
                continue
            for value in _parse(line, log.path, number, skipped):
                yield number, here, value


def _pass_over_rest(file: IO[bytes]) -> int:
    """Read on to the end of the line; returns how many bytes that were."""
    passed = 0
    while piece := file.readline(PIECE_BYTES):
        passed += len(piece)
        if piece.endswith(b"\n"):
            break
    return passed


def _parse(line: bytes, path: Path, number: int, skipped: list[Skipped]) -> list[dict[str, Any]]:
    """The records of one line: one, none when it cannot be read, several where a program lost the newline between."""
    if number == 1:
        line = line.removeprefix(BOM)
    if line.isspace() or not line:
        return []
    try:
        value, mended = parse_json(line)
    except UnreadableError as error:
        if glued := _glued(line):
            skipped.append(Skipped(path, number, f"{len(glued)} records on one line; all were read"))
            return glued
        if not line.replace(b"\0", b"").strip():
            reason = "nothing but NUL bytes"
        elif not line.endswith(b"\n") and str(error).startswith("not JSON"):
            reason = "torn last line"
        else:
            reason = str(error)
        skipped.append(Skipped(path, number, reason))
        return []
    if not isinstance(value, dict):
        skipped.append(Skipped(path, number, f"a JSON {type(value).__name__}, not an object"))
        return []
    if mended:
        skipped.append(Skipped(path, number, f"{mended} replaced; the rest of the line was read"))
    return [value]


def _glued(line: bytes) -> list[dict[str, Any]]:
    """Whole objects that follow each other without a newline; [] when the line is anything else."""
    records: list[dict[str, Any]] = []
    start = 0
    borders = [match.start() + 1 for match in islice(GLUE.finditer(line), MOST_BORDERS)]
    for border in (*borders, len(line)):
        try:
            value, _ = parse_json(line[start:border])
        except UnreadableError:
            continue  # a brace inside a string, or a piece not yet whole
        if not isinstance(value, dict):
            return []
        records.append(value)
        start = border
    return records if start == len(line) and len(records) > 1 else []
