"""The objects of a JSON array, or one after another, as bytes: a gigabyte on one line never stands in memory whole."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from memory.transcripts import lines
from memory.transcripts.lines import BOM, LogFile
from memory.transcripts.model import Skipped
from memory.transcripts.parse import UnreadableError, parse_json

WINDOW_BYTES = 1024 * 1024
_OUTSIDE = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+")*+', re.DOTALL)
_INSIDE = re.compile(rb'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+', re.DOTALL)
_OPENING = b"{["
_QUOTE, _NEWLINE, _BACKSLASH = b'"\n\\'


def read_elements(log: LogFile, skipped: list[Skipped]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of each element of a top-level array, or of each top-level object.

    What is no readable object is appended to ``skipped`` by its line and number; memory stays near the largest element.
    Raises OSError when the file cannot be opened.
    """
    splitter = _Splitter()
    count = 0
    with closing(log.open()) as file:
        is_first = True
        while window := file.read(WINDOW_BYTES):
            if is_first:
                window, is_first = window.removeprefix(BOM), False
            for element in splitter.feed(window):
                count += 1
                value = _parse(element, count, log, skipped)
                if value is not None:
                    yield element.line, value
                del value
    rest = splitter.rest()
    if rest is not None:
        count += 1
        skipped.append(Skipped(log.path, rest.line, f"element {count:,} has no end"))


@dataclass(slots=True)
class _Element:
    raw: bytes
    line: int
    problem: str = ""


def _parse(element: _Element, count: int, log: LogFile, skipped: list[Skipped]) -> dict[str, Any] | None:
    try:
        if element.problem:
            raise UnreadableError(element.problem)
        value, mended = parse_json(element.raw)
        element.raw = b""
        if not isinstance(value, dict):
            raise UnreadableError(f"a JSON {type(value).__name__}, not an object")
    except UnreadableError as error:
        skipped.append(Skipped(log.path, element.line, f"element {count:,}: {error}"))
        return None
    if mended:
        skipped.append(Skipped(log.path, element.line, f"element {count:,}: {mended} replaced; the rest was read"))
    return value


@dataclass(slots=True)
class _Splitter:
    """Follows strings and brackets over windows of bytes.

    JSON allows no raw newline in a string, and no writer puts an inner object where the element's own began: either is
    the sign of a torn element, after which reading goes on at the next one.
    """

    buffer: bytes = b""
    position: int = 0
    depth: int = 0
    base: int | None = None  # the depth at which elements lie: 1 in an array, 0 for bare objects
    in_string: bool = False
    start: int | None = None  # of the open element in the buffer; None when there is none or it is over the limit
    is_open: bool = False
    open_line: int = 0
    length: int = 0  # bytes of an element over the limit that were let go
    line: int = 1
    counted: int = 0
    indent: bytes | None = None
    pending: list[_Element] = field(default_factory=list)

    def feed(self, window: bytes) -> Iterator[_Element]:
        """The elements that end in this window."""
        self._let_go()
        self.buffer = self.buffer[self.position if self.start is None else self.start :] + window
        cut = self.position if self.start is None else self.start
        self.position -= cut
        self.counted -= cut
        if self.start is not None:
            self.start = 0
        while self._step():
            while self.pending:
                yield self.pending.pop()

    def rest(self) -> _Element | None:
        """The element that was still open at the end."""
        return _Element(b"", self.open_line) if self.is_open else None

    def _let_go(self) -> None:
        """Count the lines so far; forget an element that is over the limit while its end is looked for."""
        self._count_lines(self.position)
        if self.start is not None and self.position - self.start > lines.MAX_LINE_BYTES:
            self.length = self.position - self.start
            self.start = None
        elif self.is_open and self.start is None:
            self.length += self.position

    def _count_lines(self, end: int) -> None:
        self.line += self.buffer.count(b"\n", self.counted, end)
        self.counted = end

    def _step(self) -> bool:
        """Go on to the next bracket; False when the window is used up."""
        buffer = self.buffer
        if self.in_string:
            self.position = _end(_INSIDE, buffer, self.position)
            if self.position >= len(buffer) or buffer[self.position] == _BACKSLASH:
                return False
            self.in_string = False
            self.position += buffer[self.position] == _QUOTE
        self.position = _end(_OUTSIDE, buffer, self.position)
        if self.position >= len(buffer):
            return False
        byte = buffer[self.position]
        if byte == _QUOTE:
            self.in_string = True
            self.position += 1
        elif byte in _OPENING:
            self._open(byte)
            self.position += 1
        else:
            self.position += 1
            self._close()
        return True

    def _open(self, byte: int) -> None:
        if self.base is None:
            self.base = 1 if byte == b"["[0] else 0
        if self.is_open and self.depth > self.base and byte == b"{"[0] and self._begins_like_the_open_one():
            self.pending.append(self._torn())
            self.depth = self.base
        if self.depth == self.base and not self.is_open:
            self._count_lines(self.position)
            self.is_open, self.start, self.open_line, self.length = True, self.position, self.line, 0
            before = self.buffer.rfind(b"\n", 0, self.position)
            indent = self.buffer[before + 1 : self.position]
            self.indent = b"\n" + indent if before >= 0 and not indent.strip() else None
        self.depth += 1

    def _begins_like_the_open_one(self) -> bool:
        indent = self.indent
        return indent is not None and self.buffer[max(0, self.position - len(indent)) : self.position] == indent

    def _torn(self) -> _Element:
        self.is_open = False
        return _Element(b"", self.open_line, "torn")

    def _close(self) -> None:
        self.depth = max(self.depth - 1, 0)
        if not self.is_open or self.depth != self.base:
            return
        self.is_open = False
        length = self.length + self.position if self.start is None else self.position - self.start
        if length > lines.MAX_LINE_BYTES:
            problem = f"{length:,} bytes, over the limit of {lines.MAX_LINE_BYTES:,}"
            self.pending.append(_Element(b"", self.open_line, problem))
        else:
            self.pending.append(_Element(self.buffer[self.start : self.position], self.open_line))
        self.start = None


def _end(pattern: re.Pattern[bytes], buffer: bytes, position: int) -> int:
    match = pattern.match(buffer, position)
    return match.end() if match else position
