"""Reads ChatGPT exports (``conversations.json`` or its shards): the path to ``current_node`` is the conversation.

Other leaves that answer the same question are regenerations: alternatives. Hidden, empty and weightless messages are
left out and counted; ``thoughts`` are the rationale of the reply after them; what goes to a recipient other than all is
a tool call.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory.transcripts.conversation import Conversation
from memory.transcripts.fields import clean_text, dict_field, iso_time, joined, list_field, text_field
from memory.transcripts.model import Alternative, Transcript
from memory.transcripts.tree import OTHER, REPLY, USER, alternatives, path_to

_THINKING = ("thoughts", "reasoning_recap")
_CONTEXT = ("user_editable_context", "model_editable_context")


def read(record: dict[str, Any], path: Path, line: int) -> Iterator[Transcript]:
    """The conversation in one element of the export; ``line`` is where it begins."""
    conversation = Conversation(path, "chatgpt")
    nodes = {key: node for key, node in dict_field(record, "mapping").items() if isinstance(node, dict)}
    messages = [dict_field(node, "message") for node in nodes.values()]
    number_of = {key: number for number, key in enumerate(nodes)}
    parents = [number_of.get(text_field(node, "parent"), -1) for node in nodes.values()]
    roles = [_role(message) for message in messages]
    taken = path_to(parents, _leaf(record, number_of, parents, messages))
    on_path = set(taken)
    conversation.dropped["other branch"] = sum(
        1 for number, role in enumerate(roles) if role != OTHER and number not in on_path
    )
    keys = list(nodes)
    session = _Session(conversation, line)
    for number in taken:
        if messages[number]:
            session.add(keys[number], messages[number])
    yield conversation.finish(
        text_field(record, "conversation_id") or text_field(record, "id"),
        started_at=iso_time(record.get("create_time")),
        title=text_field(record, "title"),
        alternatives=tuple(
            Alternative(
                text_field(messages[answer], "id") or keys[answer],
                _text(messages[other]),
                _thoughts_above(parents, messages, on_path, other),
            )
            for answer, other in alternatives(parents, roles, taken)
        ),
    )


def _leaf(record: dict[str, Any], number_of: dict[str, int], parents: list[int], messages: list[dict[str, Any]]) -> int:
    """The node that was on screen; where the export does not say, the newest that nothing follows."""
    if text_field(record, "current_node") in number_of:
        return number_of[text_field(record, "current_node")]
    followed = set(parents)
    leaves = [number for number in range(len(parents)) if number not in followed]
    return max(leaves, key=lambda number: (_seconds(messages[number]), number), default=-1)


def _seconds(message: dict[str, Any]) -> float:
    stamp = message.get("create_time")
    return float(stamp) if isinstance(stamp, int | float) and abs(stamp) < 1e15 else 0.0


def _role(message: dict[str, Any]) -> str:
    if not message or _left_out(message):
        return OTHER
    role = dict_field(message, "author").get("role")
    if role == "user":
        return USER
    is_reply = role == "assistant" and not _is_call(message) and _kind(message) not in _THINKING
    return REPLY if is_reply and _text(message) else OTHER


def _kind(message: dict[str, Any]) -> str:
    return text_field(dict_field(message, "content"), "content_type")


def _is_call(message: dict[str, Any]) -> bool:
    """Whether a message goes to a tool; made-up recipients of messages with plain parts do not count."""
    recipient = text_field(message, "recipient")
    return recipient not in ("", "all")


def _left_out(message: dict[str, Any]) -> str:
    """Why a message is no part of what was said; "" when it is."""
    if message.get("weight") == 0:
        return "weight 0"
    if dict_field(message, "metadata").get("is_visually_hidden_from_conversation") is True:
        return "hidden"
    if dict_field(message, "author").get("role") == "system":
        return "system"
    return _kind(message) if _kind(message) in _CONTEXT else ""


def _text(message: dict[str, Any]) -> str:
    """All text in a message's content, of whatever type it is."""
    content = dict_field(message, "content")
    parts = content.get("parts")
    texts = []
    for part in parts if isinstance(parts, list) else []:
        texts.append(text_field(part, "text") if isinstance(part, dict) else clean_text(part))
    return joined(texts) or text_field(content, "text").strip() or text_field(content, "result").strip()


def _thoughts(message: dict[str, Any]) -> str:
    thoughts = list_field(dict_field(message, "content"), "thoughts")
    return joined([text_field(thought, "content") or text_field(thought, "summary") for thought in thoughts])


def _thoughts_above(parents: list[int], messages: list[dict[str, Any]], on_path: set[int], node: int) -> str:
    """What was thought on a branch before the reply ``node``."""
    above = [number for number in path_to(parents, node) if number not in on_path]
    return joined([_thoughts(messages[number]) for number in above if _kind(messages[number]) == "thoughts"])


class _Session:
    """The path taken, message by message."""

    def __init__(self, conversation: Conversation, line: int) -> None:
        self._conversation = conversation
        self._line = line
        self._thoughts: list[str] = []

    def add(self, key: str, message: dict[str, Any]) -> None:
        """One message of the path."""
        conversation = self._conversation
        if reason := _left_out(message):
            conversation.dropped[reason] += 1
            return
        message_id = text_field(message, "id") or key
        timestamp = iso_time(message.get("create_time"))
        author = dict_field(message, "author")
        match author.get("role"):
            case "user":
                self._thoughts.clear()
                self._count_parts(message)
                conversation.human(message_id, _text(message), self._line, timestamp=timestamp)
            case "assistant":
                self._assistant(message_id, message, timestamp)
            case "tool":
                conversation.result("", _text(message), name=text_field(author, "name"))
            case other:
                conversation.dropped[clean_text(other) or "message without a role"] += 1

    def _assistant(self, message_id: str, message: dict[str, Any], timestamp: str) -> None:
        conversation = self._conversation
        kind = _kind(message)
        if kind == "thoughts":
            self._thoughts.append(_thoughts(message))
            return
        if kind in _THINKING:
            conversation.dropped[kind] += 1
            return
        text = _text(message)
        if not text:
            conversation.dropped["empty"] += 1
            return
        self._count_parts(message)
        reply = conversation.reply(message_id, self._line, timestamp)
        if _is_call(message):
            conversation.call(reply, "", text_field(message, "recipient"), text)
            return
        reply.thoughts += self._thoughts
        self._thoughts = []
        conversation.say(reply, text)

    def _count_parts(self, message: dict[str, Any]) -> None:
        """Pictures and other parts without words."""
        for part in list_field(dict_field(message, "content"), "parts"):
            if not text_field(part, "text"):
                self._conversation.dropped[f"part {text_field(part, 'content_type')}".strip()] += 1
