"""Reading JSON Lines that may be torn, huge or damaged: every good line is kept, every bad one is reported once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory.transcripts.model import Skipped

MAX_LINE_BYTES = 32 * 1024 * 1024
"""A longer line is passed over in pieces: it is one pasted file, and would cost several times its size in memory."""


def read_json_lines(path: Path, skipped: list[Skipped]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of each readable line; what is not readable is appended to ``skipped``.

    NUL bytes (left by a crash of the file system) are removed and invalid UTF-8 is replaced; both are reported, and the
    line is kept where it still parses. Raises OSError when the file cannot be opened.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                length = len(line) + _pass_over_rest(file)
                skipped.append(Skipped(path, number, f"{length:,} bytes, over the limit of {MAX_LINE_BYTES:,}"))
                continue
            value = _parse(line, path, number, skipped)
            if value is not None:
                yield number, value


def _pass_over_rest(file: Any) -> int:
    """Read on to the end of the line; returns how many bytes that were."""
    passed = 0
    while piece := file.readline(MAX_LINE_BYTES):
        passed += len(piece)
        if piece.endswith(b"\n"):
            break
    return passed


def _parse(line: bytes, path: Path, number: int, skipped: list[Skipped]) -> dict[str, Any] | None:
    is_torn = not line.endswith(b"\n")
    notes: list[str] = []
    if b"\0" in line:
        line = line.replace(b"\0", b"")
        notes.append("NUL bytes")
    if not line.strip():
        if notes:
            skipped.append(Skipped(path, number, "nothing but NUL bytes"))
        return None
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode(errors="replace")
        notes.append("invalid UTF-8")
    try:
        value = json.loads(text)
    except RecursionError:
        skipped.append(Skipped(path, number, "nested too deeply"))
        return None
    except ValueError as error:
        reason = "torn last line" if is_torn else f"not JSON ({getattr(error, 'msg', error)})"
        skipped.append(Skipped(path, number, reason))
        return None
    if not isinstance(value, dict):
        skipped.append(Skipped(path, number, f"a JSON {type(value).__name__}, not an object"))
        return None
    if notes:
        skipped.append(Skipped(path, number, f"{' and '.join(notes)} replaced; the rest of the line was read"))
    return value


def clean_text(value: object) -> str:
    """``value`` as text that UTF-8 can carry: lone surrogates (legal in JSON escapes) become question marks."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def text_field(record: dict[str, Any], key: str) -> str:
    """The string under ``key``; "" when it is missing or of another type."""
    return clean_text(record.get(key))


def dict_field(record: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under ``key``; {} when it is missing or of another type."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def content_blocks(content: object) -> list[dict[str, Any]]:
    """Message content as a list of blocks; a plain string is one text block, anything unusable is left out."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list):
        return [
            {"type": "text", "text": block} if isinstance(block, str) else block
            for block in content
            if isinstance(block, str | dict)
        ]
    return []
