"""Which log format a file is in, by its content, and the one function that reads any of them."""

from pathlib import Path
from typing import Any

from memory.errors import HomeError, UsageError
from memory.transcripts import claude_code, pi
from memory.transcripts.lines import read_json_lines
from memory.transcripts.model import Skipped, Transcript

LINES_LOOKED_AT = 50
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


def detect_format(path: Path) -> str:
    """``pi``, ``claude-code``, or "" for anything else. Raises HomeError when the file cannot be opened."""
    skipped: list[Skipped] = []
    try:
        for count, (_, record) in enumerate(read_json_lines(path, skipped)):
            found = _format_of(record)
            if found or count >= LINES_LOOKED_AT:
                return found
            if len(skipped) > LINES_LOOKED_AT:
                break
    except OSError as error:
        raise HomeError(f"{path}: cannot be read ({error.strerror}); check that it exists and is yours") from error
    return ""


def _format_of(record: dict[str, Any]) -> str:
    kind = record.get("type")
    if kind == "session" and isinstance(record.get("id"), str):
        return "pi"
    if kind in PI_TYPES and "parentId" in record:
        return "pi"
    if kind == "message" and isinstance(record.get("message"), dict) and "role" in record["message"]:
        return "pi"
    if kind in CLAUDE_CODE_TYPES and not record.get("role"):
        return "claude-code"
    return ""


def read_transcript(path: Path) -> Transcript:
    """Read one log of any known format.

    Damaged lines never raise: they are in ``Transcript.skipped``. Raises UsageError for an unknown format and HomeError
    for a file that cannot be opened.
    """
    match detect_format(path):
        case "pi":
            return pi.read(path)
        case "claude-code":
            return claude_code.read(path)
        case _:
            raise UsageError(f"{path}: not a transcript in a known format (pi/OpenClaw or Claude Code JSON Lines)")
