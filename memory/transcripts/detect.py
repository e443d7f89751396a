"""Which log format a file is in, by its content: its name is not asked."""

from contextlib import closing
from typing import Any, Literal

from memory.transcripts.elements import read_elements
from memory.transcripts.fields import text_field
from memory.transcripts.lines import BOM, LogFile, read_records
from memory.transcripts.messages import ROLES
from memory.transcripts.model import Skipped

Layout = Literal["", "lines", "elements"]

RECORDS_LOOKED_AT = 50
CLAUDE_CODE_TYPES = {
    "user",
    "assistant",
    "summary",
    "attachment",
    "system",
    "progress",
    "file-history-snapshot",
    "queue-operation",
}
PI_TYPES = {
    "message",
    "model_change",
    "thinking_level_change",
    "compaction",
    "branch_summary",
    "custom",
    "custom_message",
    "label",
    "session_info",
}
BARE = "bare"
"""Not a format of its own: messages of OpenAI's form without an object around them."""


def detect(log: LogFile) -> tuple[str, Layout]:
    """(format, how its records lie in the file); ("", "") for anything unknown. Raises OSError."""
    with closing(log.open()) as file:
        head = file.read(4096)
    first = head.removeprefix(BOM).lstrip()[:1]
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip", ""
    if first == b"[" and (found := _first_known(log, "elements")):
        return found, "elements"
    if found := _first_known(log, "lines"):
        return found, "lines"
    if first == b"{" and (found := _first_known(log, "elements")):
        return found, "elements"
    return "", ""


def _first_known(log: LogFile, layout: Layout) -> str:
    """The format of the first record that gives itself away."""
    skipped: list[Skipped] = []
    records = (
        (record for _, record in read_elements(log, skipped))
        if layout == "elements"
        else (record for _, _, record in read_records(log, skipped))
    )
    with closing(records):
        for count, record in enumerate(records):
            found = line_format(record) if layout == "lines" else element_format(record)
            if found:
                return found
            if count + len(skipped) >= RECORDS_LOOKED_AT:
                break
    return ""


def element_format(record: dict[str, Any]) -> str:
    """The format of a record that holds a whole conversation (or is a bare message); "" for anything else."""
    if isinstance(record.get("mapping"), dict):
        return "chatgpt"
    if isinstance(record.get("chat_messages"), list):
        return "claude-ai"
    for key in ("conversations", "items"):
        messages = record.get(key)
        if isinstance(messages, list) and any(
            isinstance(item, dict) and ("value" in item and "from" in item) for item in messages
        ):
            return "sharegpt"
    for key, found in (("messages", "openai"), ("conversations", "sharegpt")):
        messages = record.get(key)
        if isinstance(messages, list) and any(isinstance(item, dict) and _is_message(item) for item in messages):
            return found
    return BARE if _is_message(record) else ""


def line_format(record: dict[str, Any]) -> str:
    """The format of a record that stands on a line of its own; "" for anything unknown."""
    kind = record.get("type")
    if kind == "session" and isinstance(record.get("id"), str):
        return "pi"
    if isinstance(kind, str) and kind in PI_TYPES and "parentId" in record:
        return "pi"
    if kind == "message" and isinstance(record.get("message"), dict) and "role" in record["message"]:
        return "pi"
    if isinstance(kind, str) and not record.get("role"):
        if kind in CLAUDE_CODE_TYPES and "content" not in record:
            return "claude-code"
        if text_field(record, "sessionId"):
            return "claude-code"
    found = element_format(record)
    return "gptme" if found == BARE and isinstance(record.get("timestamp"), str) else found


def _is_message(record: dict[str, Any]) -> bool:
    return isinstance(record.get("role"), str) and record["role"].lower() in ROLES and "content" in record
