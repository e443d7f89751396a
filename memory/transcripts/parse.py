"""One JSON value from bytes: fast where they are clean, forgiving where they are damaged."""

import json
from typing import Any

import orjson

from memory.transcripts.fields import clean_text

TOO_DEEP = "nested too deeply"


class UnreadableError(ValueError):
    """Bytes that are no JSON value even with forgiveness; the message is the reason, for a report."""


def parse_json(raw: bytes) -> tuple[Any, str]:
    """The value in ``raw`` and what had to be mended to read it ("" for nothing).

    NUL bytes (left by a crash of the file system) are removed, invalid UTF-8 and lone surrogates are replaced, NaN and
    infinities become null. Raises UnreadableError.
    """
    try:
        return orjson.loads(raw), ""
    except orjson.JSONDecodeError as error:
        return _parse_damaged(raw, str(error))


def _parse_damaged(raw: bytes, complaint: str) -> tuple[Any, str]:
    notes: list[str] = []
    if b"\0" in raw:
        raw = raw.replace(b"\0", b"")
        notes.append("NUL bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode(errors="replace")
        notes.append("invalid UTF-8")
    numbers: list[str] = []
    try:
        value = json.loads(text, parse_constant=numbers.append, parse_float=lambda digits: _float(digits, numbers))
        value, had_surrogates = _without_surrogates(value)
    except RecursionError:
        raise UnreadableError(TOO_DEEP) from None
    except ValueError as error:
        raise UnreadableError(f"not JSON ({getattr(error, 'msg', error)})") from None
    if numbers:
        notes.append("NaN or infinity")
    if had_surrogates:
        notes.append("lone surrogates")
    if not notes:
        notes.append(complaint)
    return value, " and ".join(notes)


def _float(digits: str, numbers: list[str]) -> float | None:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        numbers.append(digits)
        return None
    return value


def _without_surrogates(value: Any) -> tuple[Any, bool]:
    """The value with every string as UTF-8 can carry it, and whether that changed any."""
    if isinstance(value, str):
        cleaned = clean_text(value)
        return cleaned, cleaned != value
    if isinstance(value, list):
        items = [_without_surrogates(item) for item in value]
        return [item for item, _ in items], any(changed for _, changed in items)
    if isinstance(value, dict):
        pairs = [(clean_text(key), key, *_without_surrogates(item)) for key, item in value.items()]
        changed = any(cleaned != key or item_changed for cleaned, key, _, item_changed in pairs)
        return {cleaned: item for cleaned, _, item, _ in pairs}, changed
    return value, False
