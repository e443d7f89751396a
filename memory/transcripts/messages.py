"""Adds messages of the form role and content, as OpenAI, gptme and many tools log them, to a conversation."""

from typing import Any

from memory.transcripts.conversation import Conversation, Reply
from memory.transcripts.fields import block_texts, clean_text, dict_field, iso_time, list_field, text_field

HUMAN = ("user", "human")
AGENT = ("assistant", "model", "gpt")
TOOL = ("tool", "function")
SYSTEM = ("system", "developer")
ROLES = (*HUMAN, *AGENT, *TOOL, *SYSTEM)


def add_message(conversation: Conversation, message: dict[str, Any], line: int) -> None:
    """Add one message; ``line`` is where it, or its conversation, stands. What is left out is counted."""
    if message.get("hide") is True:
        conversation.dropped["hidden"] += 1
        return
    role = text_field(message, "role").lower()
    timestamp = iso_time(message.get("timestamp") or message.get("created_at"))
    message_id = text_field(message, "id")
    text = block_texts(message.get("content"))
    if role in HUMAN:
        conversation.human(message_id, text, line, timestamp=timestamp)
    elif role in AGENT:
        _fill(conversation.reply(message_id, line, timestamp), conversation, message, text)
    elif role in TOOL:
        conversation.result(text_field(message, "tool_call_id"), text, name=text_field(message, "name"))
    else:
        conversation.dropped[clean_text(role) or "message without a role"] += 1


def _fill(reply: Reply, conversation: Conversation, message: dict[str, Any], text: str) -> None:
    reply.thoughts.append(text_field(message, "reasoning_content") or text_field(message, "reasoning"))
    conversation.say(reply, text or text_field(message, "refusal"))
    for call in list_field(message, "tool_calls"):
        function = dict_field(call, "function") or call
        conversation.call(reply, text_field(call, "id"), text_field(function, "name"), function.get("arguments"))
    if function := dict_field(message, "function_call"):
        conversation.call(reply, "", text_field(function, "name"), function.get("arguments"))
