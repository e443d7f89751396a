"""Reads claude.ai exports (``conversations.json``): content blocks where there are any, else the plain text.

What an attachment holds was written by nobody in the conversation: it follows the person's words as a pasted range.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory.transcripts.conversation import Conversation
from memory.transcripts.fields import block_texts, clean_text, content_blocks, list_field, text_field
from memory.transcripts.model import Alternative, Transcript
from memory.transcripts.tree import OTHER, REPLY, USER, alternatives, path_to


def read(record: dict[str, Any], path: Path, line: int) -> Iterator[Transcript]:
    """The conversation in one element of the export; ``line`` is where it begins."""
    conversation = Conversation(path, "claude-ai")
    messages = list_field(record, "chat_messages")
    taken, pairs = _branches(record, messages)
    conversation.dropped["other branch"] = len(messages) - len(taken)
    for index in taken:
        _add(conversation, messages[index], line)
    yield conversation.finish(
        text_field(record, "uuid"),
        started_at=text_field(record, "created_at"),
        title=text_field(record, "name"),
        alternatives=tuple(
            Alternative(_id(messages[answer], line), *_words(messages[other])) for answer, other in pairs
        ),
    )


def _branches(record: dict[str, Any], messages: list[dict[str, Any]]) -> tuple[list[int], list[tuple[int, int]]]:
    """The messages of the path taken, and the other replies; older exports are a list without parents."""
    if not any("parent_message_uuid" in message for message in messages):
        return list(range(len(messages))), []
    index_of = {text_field(message, "uuid"): index for index, message in enumerate(messages)}
    parents = []
    for index, message in enumerate(messages):
        parent = index_of.get(text_field(message, "parent_message_uuid"), -1)
        is_root = index == 0 or text_field(message, "parent_message_uuid").startswith("00000000-0000")
        parents.append(parent if parent >= 0 or is_root else index - 1)  # a lost parent costs one message
    leaf = index_of.get(text_field(record, "current_leaf_message_uuid"), len(messages) - 1)
    roles = [_role(message) for message in messages]
    taken = path_to(parents, leaf)
    return taken, alternatives(parents, roles, taken)


def _role(message: dict[str, Any]) -> str:
    if message.get("sender") == "human":
        return USER
    return REPLY if message.get("sender") == "assistant" and _words(message)[0] else OTHER


def _words(message: dict[str, Any]) -> tuple[str, str]:
    """The text and the thinking of a message."""
    blocks = content_blocks(message.get("content"))
    texts = [text_field(block, "text") for block in blocks if block.get("type") == "text"]
    thoughts = [text_field(block, "thinking") for block in blocks if block.get("type") == "thinking"]
    text = "\n\n".join(part for part in texts if part.strip()).strip()
    return text or text_field(message, "text").strip(), "\n\n".join(part for part in thoughts if part.strip())


def _id(message: dict[str, Any], line: int) -> str:
    return text_field(message, "uuid") or f"line-{line}"


def _add(conversation: Conversation, message: dict[str, Any], line: int) -> None:
    timestamp = text_field(message, "created_at")
    match message.get("sender"):
        case "human":
            attached = [
                (text_field(item, "file_name"), text_field(item, "extracted_content"))
                for item in list_field(message, "attachments")
            ]
            text, _ = _words(message)
            conversation.human(_id(message, line), text, line, timestamp=timestamp, attached=attached)
        case "assistant":
            _reply(conversation, message, line, timestamp)
        case other:
            conversation.dropped[clean_text(other) or "message without a sender"] += 1


def _reply(conversation: Conversation, message: dict[str, Any], line: int, timestamp: str) -> None:
    reply = conversation.reply(_id(message, line), line, timestamp)
    for block in content_blocks(message.get("content")):
        match block.get("type"):
            case "text":
                conversation.say(reply, text_field(block, "text"))
            case "thinking":
                reply.thoughts.append(text_field(block, "thinking"))
            case "tool_use":
                conversation.call(reply, text_field(block, "id"), text_field(block, "name"), block.get("input"))
            case "tool_result":
                conversation.result(
                    text_field(block, "tool_use_id"),
                    block_texts(block.get("content")),
                    failed=block.get("is_error") is True,
                    name=text_field(block, "name"),
                )
            case other:
                conversation.dropped[f"block {clean_text(other)}".strip()] += 1
    if not reply.texts:
        conversation.say(reply, text_field(message, "text"))
