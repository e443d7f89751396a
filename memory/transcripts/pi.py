"""Reads pi and OpenClaw sessions (``sessions/*.jsonl``), versions 1 to 3, and our own, which have the same form.

Version 1 is a plain list; 2 and 3 are a tree, of which the path to the newest entry is what was said and other answers
to the same question are alternatives. The file is read twice, for its shape and for its words, so that a long one never
stands in memory. Heartbeats, failed replies and messages of hooks are left out and counted by kind; sender metadata in
front of the person's text is stripped. In our own logs a reply carries its molt and memories; ratings and edits follow.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from memory.errors import ResumeError
from memory.transcripts.conversation import Conversation
from memory.transcripts.fields import (
    block_texts,
    clean_text,
    content_blocks,
    dict_field,
    iso_time,
    joined,
    text_field,
)
from memory.transcripts.lines import LogFile, read_records
from memory.transcripts.model import Alternative, Reading, Transcript, Turn
from memory.transcripts.tree import OTHER, REPLY, USER, alternatives, path_to

RATING = "molting.rating"
EDIT = "molting.edit"
_SILENT = ("session_info", "label", "model_change", "thinking_level_change")
_METADATA = re.compile(r"^\s*[\w ()]*\(untrusted[\w ,-]*\):\s*```(?:json)?\s.*?```\s*", re.DOTALL)
_ENVELOPE = re.compile(r"^\s*\[[^\]\n]{0,200}?\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}[^\]\n]{0,60}\][ \t]*")
_MESSAGE_ID = re.compile(r"\s*\[message_id: [^\]\n]*\]\s*$")
_QUIET, _ALIVE = "NO_REPLY", "HEARTBEAT_OK"


@dataclass(slots=True)
class _Shape:
    """What a first reading keeps of each entry: where it stands and what it follows."""

    header: dict[str, Any] = field(default_factory=dict)
    index_of: dict[str, int] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    is_message: bytearray = field(default_factory=bytearray)
    follows: bytearray = field(default_factory=bytearray)  # 1 where the entry comes right after the one before it
    is_tree: bool = False
    own: bool = False
    title: str = ""
    approved: dict[str, bool | None] = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)

    def add(self, line: int, record: dict[str, Any], *, is_tail: bool) -> None:
        """One entry. Raises ResumeError when it follows one that stands before the tail."""
        index = len(self.lines)
        parent = record.get("parentId")
        found = self.index_of.get(parent) if isinstance(parent, str) else None
        if is_tail and index and parent is not None and found is None:
            raise ResumeError(f"line {line} follows an entry from before; read the whole file")
        self.is_tree = self.is_tree or "parentId" in record
        if parent is None and "parentId" in record:
            found = -1
        # A parent that was lost with a damaged line is replaced by the entry before it: one bad line costs one line.
        self.parents.append(index - 1 if found is None else found)
        self.follows.append(found is None or found == index - 1)
        self.lines.append(line)
        message = dict_field(record, "message")
        self.own = self.own or "molting" in message
        self.is_message.append(record.get("type") == "message")
        self.roles.append(_role(message) if record.get("type") == "message" else OTHER)
        if entry_id := text_field(record, "id"):
            self.index_of[entry_id] = index
        if record.get("type") == "session_info":
            self.title = text_field(record, "name")
        self._verdict(record)

    def _verdict(self, record: dict[str, Any]) -> None:
        data = dict_field(record, "data")
        message_id = text_field(data, "message_id")
        match record.get("customType"):
            case "molting.rating" if isinstance(data.get("rating"), int):
                self.approved[message_id] = data["rating"] > 0 if data["rating"] else None
            case "molting.edit" if isinstance(data.get("text"), str):
                self.edits[message_id] = clean_text(data["text"])


def read(log: LogFile, reading: Reading, start: tuple[int, int] = (0, 0)) -> Iterator[Transcript]:
    """The session in ``log`` from ``start`` on; see the module's description for what is left out.

    Raises OSError, and ResumeError for a tail that goes back to what stands before it.
    """
    del reading  # all that is found belongs to the one conversation
    is_tail = start != (0, 0)
    conversation = Conversation(log.path, "pi")
    shape = _Shape()
    for line, _, record in read_records(log, conversation.skipped, start):
        if record.get("type") == "session":
            shape.header = shape.header or record
        else:
            shape.add(line, record, is_tail=is_tail)
    shape.own = shape.own or "molting" in shape.header
    if is_tail and (shape.own or shape.approved or shape.edits):
        raise ResumeError(f"{log.path}: ratings and edits may be about what stands before; read the whole file")
    taken = path_to(shape.parents, len(shape.parents) - 1) if shape.is_tree else list(range(len(shape.lines)))
    pairs = alternatives(shape.parents, shape.roles, taken) if shape.is_tree else []
    conversation.dropped["other branch"] = sum(shape.is_message) - sum(shape.is_message[index] for index in taken)
    parts = {**dict.fromkeys((other for _, other in pairs), False), **dict.fromkeys(taken, True)}
    others = _fill(conversation, shape, parts, read_records(log, [], start))  # damage is reported by the first reading
    ids = {index: entry_id for entry_id, index in shape.index_of.items()}
    transcript = conversation.finish(
        text_field(shape.header, "id") or ("" if is_tail else log.path.stem),
        own=shape.own,
        started_at=text_field(shape.header, "timestamp"),
        title=shape.title,
        alternatives=tuple(
            Alternative(ids.get(answer, f"line-{shape.lines[answer]}"), *others[other])
            for answer, other in pairs
            if other in others
        ),
    )
    if is_tail and not shape.header:
        transcript = replace(transcript, id="")
    yield _with_verdicts(transcript, shape) if shape.own else transcript


def _fill(
    conversation: Conversation,
    shape: _Shape,
    parts: dict[int, bool],
    records: Iterator[tuple[int, int, dict[str, Any]]],
) -> dict[int, tuple[str, str]]:
    """Say what was said, in a second reading: ``parts`` has True for entries of the path and False for other replies.

    Returns (text, rationale) of those others by their index.
    """
    others: dict[int, tuple[str, str]] = {}
    session = _Session(conversation)
    index = -1
    for line, offset, record in records:
        if record.get("type") == "session":
            continue
        index += 1
        if index >= len(shape.lines):
            break  # written while we read: the next reading has it
        is_taken = parts.get(index)
        if is_taken:
            session.add(line, offset if shape.follows[index] else -1, record)
        elif is_taken is False:
            others[index] = _words(dict_field(record, "message"))
    return others


def _role(message: dict[str, Any]) -> str:
    """The entry's part in the tree: only a reply with words that did not fail can answer a question."""
    if message.get("role") == "user":
        return USER
    if message.get("role") != "assistant" or message.get("stopReason") == "error":
        return OTHER
    text = _words(message)[0]
    return REPLY if text and not _is_silent(text) else OTHER


def _words(message: dict[str, Any]) -> tuple[str, str]:
    """The text and the thinking in a message."""
    blocks = content_blocks(message.get("content"))
    text = joined([text_field(block, "text") for block in blocks if block.get("type") == "text"])
    return text, joined([text_field(block, "thinking") for block in blocks if block.get("type") == "thinking"])


def _is_silent(text: str) -> bool:
    """Whether a reply is a token that the program never showed to anybody."""
    return text == _QUIET or text.startswith(_ALIVE) or (text.endswith((_QUIET, _ALIVE)) and len(text) < 200)


class _Session:
    """What was said on the path taken, message by message."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._failed_since_user = False

    def add(self, line: int, offset: int, record: dict[str, Any]) -> None:
        """One entry of the path."""
        dropped = self._conversation.dropped
        kind = record.get("type")
        if kind != "message":
            if kind not in _SILENT and text_field(record, "customType") not in (RATING, EDIT):
                dropped[clean_text(kind) or "record without a type"] += 1
            return
        message = dict_field(record, "message")
        match message.get("role"):
            case "user":
                self._user(record, message, line, offset)
            case "assistant":
                self._assistant(record, message, line)
            case "toolResult":
                self._conversation.result(
                    text_field(message, "toolCallId"),
                    block_texts(message.get("content")),
                    failed=message.get("isError") is True,
                    name=text_field(message, "toolName"),
                )
            case other:
                dropped[clean_text(other) or "message without a role"] += 1

    def _user(self, record: dict[str, Any], message: dict[str, Any], line: int, offset: int) -> None:
        blocks = content_blocks(message.get("content"))
        for block in blocks:
            if block.get("type") != "text":
                self._conversation.dropped[f"block {clean_text(block.get('type'))}".strip()] += 1
        text = typed_text("\n\n".join(text_field(block, "text") for block in blocks if block.get("type") == "text"))
        if self._failed_since_user and text and self._conversation.last_human() == text:
            self._conversation.dropped["repeated after failover"] += 1
            return
        self._failed_since_user = False
        self._conversation.human(text_field(record, "id"), text, line, timestamp=_time(record), offset=offset)

    def _assistant(self, record: dict[str, Any], message: dict[str, Any], line: int) -> None:
        conversation = self._conversation
        if message.get("stopReason") == "error":
            self._failed_since_user = True
            conversation.dropped["failed reply"] += 1
            return
        text, _ = _words(message)
        if _is_silent(text):
            conversation.dropped["heartbeat"] += 1
            if text != _QUIET or _asks_for_silence(conversation.question()):
                conversation.retract()  # the poll that is answered was not typed by a person
            return
        reply = conversation.reply(text_field(record, "id"), line, _time(record))
        for block in content_blocks(message.get("content")):
            match block.get("type"):
                case "text":
                    conversation.say(reply, text_field(block, "text"))
                case "thinking":
                    reply.thoughts.append(text_field(block, "thinking"))
                case "toolCall":
                    conversation.call(reply, text_field(block, "id"), text_field(block, "name"), block.get("arguments"))
        own = dict_field(message, "molting")
        memories, molt = own.get("memories"), own.get("molt")
        reply.spoken_by = molt if isinstance(molt, int) and not isinstance(molt, bool) else None
        reply.base_sha256 = text_field(own, "base_sha256")
        reply.shown_memories = tuple(clean_text(item) for item in memories) if isinstance(memories, list) else ()
        reply.stopped = message.get("stopReason") == "aborted"


def _asks_for_silence(question: str) -> bool:
    """Whether the program asked: its polls name the token to answer with."""
    return _QUIET in question or _ALIVE in question


def typed_text(text: str) -> str:
    """What a person typed: without the metadata blocks, sender and time that a channel puts around it."""
    previous = None
    while previous != text:
        previous = text
        text = _METADATA.sub("", text)
    return _MESSAGE_ID.sub("", _ENVELOPE.sub("", text)).strip()


def _with_verdicts(transcript: Transcript, shape: _Shape) -> Transcript:
    """With the person's last rating and last edit of each reply."""

    def judged(turn: Turn) -> Turn:
        return replace(turn, approved=shape.approved.get(turn.id), edited_text=shape.edits.get(turn.id))

    return replace(transcript, turns=tuple(judged(turn) for turn in transcript.turns))


def _time(record: dict[str, Any]) -> str:
    """The entry's time as ISO 8601; old versions have it in the message, in milliseconds."""
    stamp = record.get("timestamp") or dict_field(record, "message").get("timestamp")
    return iso_time(stamp, per_second=1000)
