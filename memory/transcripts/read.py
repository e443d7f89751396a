"""Which log format a file is in, by its content, and the functions that read any of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory.errors import HomeError, ResumeError, UsageError
from memory.transcripts import claude_code, pi
from memory.transcripts.lines import read_json_lines
from memory.transcripts.model import Reading, Skipped, Transcript

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


def open_log(path: Path, start: tuple[int, int] = (0, 0)) -> Reading:
    """Begin to read a log of any known format; its conversations come one by one as they are asked for.

    ``start`` is the (byte offset, lines before it) of an earlier ``Transcript.resume_at``. Damaged lines never raise.
    Raises UsageError for an unknown format, ResumeError when the part from ``start`` on cannot be understood alone and
    HomeError for a file that cannot be opened.
    """
    found = detect_format(path)
    if not found:
        raise UsageError(f"{path}: not a log in a known format")
    if start != (0, 0):
        raise ResumeError(f"{path}: cannot be read from byte {start[0]:,} on; read it whole")
    return Reading(format=found, conversations=_conversations(path))


def _conversations(path: Path) -> Iterator[Transcript]:
    yield read_transcript(path)


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
