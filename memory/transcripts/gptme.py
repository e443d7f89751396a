"""Reads gptme logs: one message a line, ``{role, content, timestamp}``; what tools return comes as tool or system."""

from collections.abc import Iterator
from typing import Any

from memory.transcripts.conversation import Conversation
from memory.transcripts.fields import block_texts
from memory.transcripts.lines import LogFile, read_records
from memory.transcripts.messages import add_message
from memory.transcripts.model import Reading, Transcript


def read(log: LogFile, reading: Reading, start: tuple[int, int] = (0, 0)) -> Iterator[Transcript]:
    """The conversation in ``log``; ``conversation.jsonl`` is named by its folder, as gptme does. Raises OSError."""
    del reading, start  # one conversation; always read whole
    conversation = Conversation(log.path, "gptme")
    was_answered = False
    for line, _, message in read_records(log, conversation.skipped):
        if _is_output(message) and was_answered:
            conversation.result("", block_texts(message.get("content")), name="system")
            continue
        was_answered = was_answered or message.get("role") == "assistant"
        add_message(conversation, message, line)
    stem = log.path.stem
    yield conversation.finish(log.path.parent.name if stem == "conversation" and log.path.parent.name else stem)


def _is_output(message: dict[str, Any]) -> bool:
    """A system message after the first reply is what a tool printed; before it is the prompt."""
    return message.get("role") == "system" and message.get("hide") is not True and message.get("pinned") is not True
