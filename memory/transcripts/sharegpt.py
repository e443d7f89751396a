"""Reads ShareGPT records: ``{"id", "conversations": [{from, value}]}``, with all the names that roles have there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory.transcripts.conversation import Conversation
from memory.transcripts.fields import block_texts, clean_text, list_field, text_field
from memory.transcripts.model import Transcript

HUMAN = ("human", "user", "prompter")
AGENT = ("gpt", "assistant", "chatgpt", "bing", "bard", "claude", "model", "ai")
CALL = ("function_call", "tool_call")
RESULT = ("tool", "function", "observation", "function_response", "tool_response")


def read(record: dict[str, Any], path: Path, line: int) -> Iterator[Transcript]:
    """The conversation in one record; ``line`` is where it begins."""
    conversation = Conversation(path, "sharegpt")
    for number, message in enumerate(list_field(record, "conversations") or list_field(record, "items")):
        who = (text_field(message, "from") or text_field(message, "role")).lower()
        text = block_texts(message.get("value") if "value" in message else message.get("content"))
        message_id = text_field(message, "id") or f"message-{number}"
        if who in HUMAN:
            conversation.human(message_id, text, line)
        elif who in AGENT:
            conversation.say(conversation.reply(message_id, line), text)
        elif who in CALL:
            conversation.call(conversation.reply(message_id, line), "", "function", text)
        elif who in RESULT:
            conversation.result("", text)
        else:
            conversation.dropped[clean_text(who) or "message without a role"] += 1
    yield conversation.finish(text_field(record, "id"), title=text_field(record, "title"))
