"""Fields of parsed records, taken with care: a value of the wrong type is as good as missing."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson


def clean_text(value: object) -> str:
    """``value`` as text that UTF-8 can carry: lone surrogates (legal in JSON escapes) become question marks."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
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


def list_field(record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in the list under ``key``; [] when it is missing or of another type."""
    value = record.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


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


def block_texts(content: object) -> str:
    """All text in message content, whatever its blocks are called; for tool results, which nest."""
    return joined([text_field(block, "text") or text_field(block, "content") for block in content_blocks(content)])


def joined(parts: list[str]) -> str:
    """The parts that say something, a blank line between them."""
    return "\n\n".join(part for part in parts if part.strip()).strip()


def compact_json(value: object) -> str:
    """``value`` as JSON text; a string (which some formats log as JSON already) stays what it is."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None:
        return ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # deeper than orjson writes, or a number longer than 64 bits
        try:
            return clean_text(json.dumps(value, ensure_ascii=False))
        except (RecursionError, TypeError, ValueError):
            return ""


def iso_time(stamp: object, per_second: int = 1) -> str:
    """A Unix time as ISO 8601 in UTC; text is taken for a time already, anything else is ""."""
    if isinstance(stamp, int | float) and not isinstance(stamp, bool):
        try:
            return (
                datetime.fromtimestamp(stamp / per_second, UTC)
                .isoformat(timespec="milliseconds")
                .replace("+00:00", "Z")
            )
        except (OverflowError, OSError, ValueError):
            return ""
    return clean_text(stamp)
