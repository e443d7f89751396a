"""Reads conversations in OpenAI's form: ``{"messages": [{role, content, tool_calls}]}``, or the bare messages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory.transcripts.conversation import Conversation
from memory.transcripts.fields import iso_time, list_field, text_field
from memory.transcripts.messages import add_message
from memory.transcripts.model import Transcript


def read(record: dict[str, Any], path: Path, line: int) -> Iterator[Transcript]:
    """The conversation in one record; ``line`` is where it begins."""
    conversation = Conversation(path, "openai")
    for number, message in enumerate(list_field(record, "messages")):
        add_message(conversation, {"id": f"message-{number}", **message}, line)
    yield conversation.finish(
        text_field(record, "id") or text_field(record, "conversation_id"),
        started_at=iso_time(record.get("created_at") or record.get("timestamp")),
        title=text_field(record, "title"),
    )


def read_bare(records: Iterator[tuple[int, dict[str, Any]]], path: Path, *, by_line: bool) -> Iterator[Transcript]:
    """The one conversation of a file whose (line, message) are ``records``, an array's or, ``by_line``, a line each."""
    conversation = Conversation(path, "openai")
    for number, (line, message) in enumerate(records):
        add_message(conversation, message if by_line else {"id": f"message-{number}", **message}, line)
    yield conversation.finish("")
