"""Takes forgotten words out of a session of ours, in place: that something was said stays, what was said does not."""

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from memory.files import file_lock, write_atomic
from memory.transcripts.fields import block_texts, dict_field, text_field
from memory.transcripts.pi import EDIT
from memory.transcripts.writer import FORGOTTEN, lock_of
from memory.trust import words

_NAMES = ("name", "label", "summary")
"""Fields of entries that are no messages and may tell what was said: titles, names of branches, compactions."""


def redact(
    path: Path, is_forgotten: Callable[[str, str], bool], *, telling: Collection[str] = ()
) -> list[tuple[int, str]]:
    """Replace forgotten texts in a session file; returns (line, message id) of each line that changed.

    ``is_forgotten(message_id, text)`` decides about messages and the person's edits of them. Every reply to a forgotten
    question goes with it, on branches not taken too, and what its tools were given and gave; so do other wordings of
    the same question, titles and summaries in which one of the ``telling`` words (small letters) stands. Everything
    else stays byte for byte, unreadable lines too. Raises OSError.
    """
    changed: list[tuple[int, str]] = []
    with file_lock(lock_of(path)):
        lines = path.read_bytes().split(b"\n")
        records = {number: record for number, line in enumerate(lines, 1) if (record := _record(line))}
        session = _Session(records, is_forgotten, telling)
        for number, record in records.items():
            if name := session.redacted(record):
                lines[number - 1] = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
                changed.append((number, name))
        if changed:
            write_atomic(path, b"\n".join(lines))
    return changed


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


class _Session:
    """Who answered whom in one file, and which messages are forgotten."""

    def __init__(
        self, records: dict[int, dict[str, Any]], is_forgotten: Callable[[str, str], bool], telling: Collection[str]
    ) -> None:
        self._is_forgotten = is_forgotten
        self._telling = [words(word) for word in telling]
        self._by_id = {text_field(record, "id"): record for record in records.values() if record.get("id")}
        self._gone = {
            name
            for name, record in self._by_id.items()
            if record.get("type") == "message" and is_forgotten(name, _text(record))
        }
        places = {self._by_id[name].get("parentId") for name in self._gone if _role(self._by_id[name]) == "user"}
        self._gone |= {
            name
            for name, record in self._by_id.items()
            if _role(record) == "user" and record.get("parentId") in places and self._tells(_text(record))
        }

    def redacted(self, record: dict[str, Any]) -> str:
        """Redact one record in place; returns the id of the message it is about, or "" when nothing changed."""
        before = json.dumps(record)
        name = text_field(record, "id")
        data = dict_field(record, "data")
        if record.get("type") == "message":
            if self._goes(name):
                _empty(record)
        elif record.get("customType") == EDIT:
            name, text = text_field(data, "message_id"), text_field(data, "text")
            if text and (self._goes(name) or self._is_forgotten(name, text)):
                data["text"] = FORGOTTEN
        else:
            for key in _NAMES:
                if self._tells(text_field(record, key)):
                    record[key] = FORGOTTEN
        return (name or "session") if json.dumps(record) != before else ""

    def _goes(self, name: str) -> bool:
        """Whether a message is forgotten, or is (part of) the reply to one that is."""
        seen: set[str] = set()
        while name and name not in seen:
            if name in self._gone:
                return True
            seen.add(name)
            record = self._by_id.get(name, {})
            if _role(record) == "user":
                return False
            name = text_field(record, "parentId")
        return False

    def _tells(self, text: str) -> bool:
        spoken = words(text)
        return any(word in spoken for word in self._telling)


def _role(record: dict[str, Any]) -> str:
    return text_field(dict_field(record, "message"), "role") if record.get("type") == "message" else ""


def _text(record: dict[str, Any]) -> str:
    return block_texts(dict_field(record, "message").get("content"))


def _empty(record: dict[str, Any]) -> None:
    """Leave nothing of what was said in a message, and all that says that it was."""
    message = dict_field(record, "message")
    content = message.get("content")
    if isinstance(content, str):
        message["content"] = FORGOTTEN
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            for key, nothing in (("text", FORGOTTEN), ("thinking", FORGOTTEN), ("content", FORGOTTEN), ("data", "")):
                if key in block:
                    block[key] = nothing
            for key in ("arguments", "partialJson", "thinkingSignature"):
                if key in block:
                    block[key] = {} if key == "arguments" else ""
    message.pop("details", None)
