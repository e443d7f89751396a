"""Reads pi and OpenClaw sessions (``sessions/*.jsonl``), versions 1 to 3, and our own, which have the same form.

Version 1 is a plain list; 2 and 3 are a tree, of which the path to the newest entry is what was said. Heartbeats,
failed replies, tool traffic and messages of hooks are left out and counted by kind; sender metadata in front of the
person's text is stripped. In our own logs a reply carries its molt and memories, and ratings and edits follow it.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory.transcripts.lines import clean_text, content_blocks, dict_field, read_json_lines, text_field
from memory.transcripts.model import Skipped, Transcript, Turn

RATING = "molting.rating"
EDIT = "molting.edit"
_SILENT = ("session_info", "label", "model_change", "thinking_level_change")
_METADATA = re.compile(r"^\s*[\w ()]*\(untrusted[\w ,-]*\):\s*```(?:json)?\s.*?```\s*", re.DOTALL)
_ENVELOPE = re.compile(r"^\s*\[[^\]\n]{0,200}?\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}[^\]\n]{0,60}\][ \t]*")
_MESSAGE_ID = re.compile(r"\s*\[message_id: [^\]\n]*\]\s*$")


@dataclass(frozen=True, slots=True)
class _Entry:
    line: int
    record: dict[str, Any]

    @property
    def id(self) -> str:
        return text_field(self.record, "id")

    @property
    def message(self) -> dict[str, Any]:
        return dict_field(self.record, "message")


def read(path: Path) -> Transcript:
    """The session in ``path``; see the module's description for what is left out. Raises OSError."""
    skipped: list[Skipped] = []
    dropped: Counter[str] = Counter()
    header: dict[str, Any] = {}
    entries: list[_Entry] = []
    for line, record in read_json_lines(path, skipped):
        if record.get("type") == "session":
            header = header or record
        else:
            entries.append(_Entry(line, record))
    taken = _path_taken(entries)
    dropped["other branch"] = sum(1 for e in entries if e.record.get("type") == "message") - sum(
        1 for e in taken if e.record.get("type") == "message"
    )
    turns = _turns(taken, dropped)
    own = "molting" in header or any("molting" in entry.message for entry in taken)
    return Transcript(
        id=text_field(header, "id") or path.stem,
        format="pi",
        path=path,
        turns=tuple(_with_verdicts(turns, entries) if own else turns),
        own=own,
        started_at=text_field(header, "timestamp") or (turns[0].timestamp if turns else ""),
        title=_title(entries),
        skipped=tuple(skipped),
        dropped={kind: count for kind, count in dropped.items() if count},
    )


def _path_taken(entries: list[_Entry]) -> list[_Entry]:
    """The entries from the root to the newest one; all of them where the file is no tree (version 1).

    A parent that was lost with a damaged line is replaced by the entry before it, so that one bad line costs one line.
    """
    if not any("parentId" in entry.record for entry in entries):
        return entries
    index_of = {entry.id: index for index, entry in enumerate(entries) if entry.id}
    taken: list[_Entry] = []
    index: int | None = len(entries) - 1
    while index is not None and index >= 0:
        entry = entries[index]
        taken.append(entry)
        parent = entry.record.get("parentId")
        if parent is None and "parentId" in entry.record:
            break
        found = index_of.get(parent) if isinstance(parent, str) else None
        index = found if found is not None and found < index else index - 1
    return taken[::-1]


def _turns(entries: list[_Entry], dropped: Counter[str]) -> list[Turn]:
    turns: list[Turn] = []
    failed_since_user = False
    for entry in entries:
        kind = entry.record.get("type")
        if kind != "message":
            custom = text_field(entry.record, "customType")
            if kind not in ("session_info", "label", "model_change", "thinking_level_change") and custom not in (
                RATING,
                EDIT,
            ):
                dropped[clean_text(kind) or "record without a type"] += 1
            continue
        match entry.message.get("role"):
            case "user":
                turn = _user(entry, dropped)
                if turn is None:
                    continue
                if failed_since_user and turns and turns[-1].role == "user" and turns[-1].text == turn.text:
                    dropped["repeated after failover"] += 1
                    continue
                failed_since_user = False
                turns.append(turn)
            case "assistant":
                failed_since_user |= entry.message.get("stopReason") == "error"
                reply = _assistant(entry, turns, dropped)
                if reply is not None:
                    turns.append(reply)
            case other:
                dropped[clean_text(other) or "message without a role"] += 1
    return turns


def _user(entry: _Entry, dropped: Counter[str]) -> Turn | None:
    blocks = content_blocks(entry.message.get("content"))
    text = "\n\n".join(text_field(block, "text") for block in blocks if block.get("type") == "text")
    for block in blocks:
        if block.get("type") != "text":
            dropped[f"block {clean_text(block.get('type'))}".strip()] += 1
    text = typed_text(text)
    if not text:
        dropped["nothing typed"] += 1
        return None
    return Turn(
        id=entry.id or f"line-{entry.line}",
        role="user",
        text=text,
        line=entry.line,
        timestamp=_time(entry),
        trust="owner",
    )


def typed_text(text: str) -> str:
    """What a person typed: without the metadata blocks, sender and time that a channel puts around it."""
    previous = None
    while previous != text:
        previous = text
        text = _METADATA.sub("", text)
    return _MESSAGE_ID.sub("", _ENVELOPE.sub("", text)).strip()


def _assistant(entry: _Entry, turns: list[Turn], dropped: Counter[str]) -> Turn | None:
    message = entry.message
    blocks = content_blocks(message.get("content"))
    texts = [text_field(b, "text") for b in blocks if b.get("type") == "text"]
    thoughts = [text_field(b, "thinking") for b in blocks if b.get("type") == "thinking"]
    calls = sum(1 for b in blocks if b.get("type") == "toolCall")
    if message.get("stopReason") == "error":
        dropped["failed reply"] += 1
        return None
    if calls:
        dropped["tool call"] += calls
    text = "\n\n".join(part for part in texts if part.strip()).strip()
    if not text:
        dropped["reply without text"] += 1
        return None
    if text == "NO_REPLY" or text.startswith("HEARTBEAT_OK"):
        dropped["heartbeat"] += 1
        if text != "NO_REPLY" and turns and turns[-1].role == "user":
            turns.pop()  # the poll that the heartbeat answers was not typed by a person
        return None
    own = dict_field(message, "molting")
    memories = own.get("memories")
    molt = own.get("molt")
    return Turn(
        id=entry.id or f"line-{entry.line}",
        role="assistant",
        text=text,
        line=entry.line,
        rationale="\n\n".join(part for part in thoughts if part.strip()).strip(),
        timestamp=_time(entry),
        trust="agent",
        spoken_by=molt if isinstance(molt, int) else None,
        base_sha256=text_field(own, "base_sha256"),
        shown_memories=tuple(clean_text(item) for item in memories) if isinstance(memories, list) else (),
        stopped=message.get("stopReason") == "aborted",
    )


def _with_verdicts(turns: list[Turn], entries: list[_Entry]) -> list[Turn]:
    """Turns with the person's last rating and last edit of each."""
    approved: dict[str, bool | None] = {}
    edits: dict[str, str] = {}
    for entry in entries:
        data = dict_field(entry.record, "data")
        message_id = text_field(data, "message_id")
        match entry.record.get("customType"):
            case "molting.rating" if isinstance(data.get("rating"), int):
                approved[message_id] = data["rating"] > 0 if data["rating"] else None
            case "molting.edit" if isinstance(data.get("text"), str):
                edits[message_id] = clean_text(data["text"])
    return [replace(turn, approved=approved.get(turn.id), edited_text=edits.get(turn.id)) for turn in turns]


def _title(entries: list[_Entry]) -> str:
    titles = [text_field(entry.record, "name") for entry in entries if entry.record.get("type") == "session_info"]
    return titles[-1] if titles else ""


def _time(entry: _Entry) -> str:
    """The entry's time as ISO 8601; old versions have it in the message, in milliseconds."""
    stamp = entry.record.get("timestamp") or entry.message.get("timestamp")
    if isinstance(stamp, int | float):
        try:
            return datetime.fromtimestamp(stamp / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        except (OverflowError, OSError, ValueError):
            return ""
    return clean_text(stamp)
