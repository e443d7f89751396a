"""The claude.ai reader: blocks before plain text, tools inside a message, attachments as pastes."""

import json
from pathlib import Path
from typing import Any

from memory.transcripts.model import Transcript
from memory.transcripts.read import open_log, read_transcript
from tests.memory.conftest import FIXTURES


def _read(tmp_path: Path, *messages: dict[str, Any], **more: Any) -> Transcript:
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([{"uuid": "c", "name": "n", "chat_messages": list(messages), **more}]))
    return read_transcript(path)


def test_the_sample_is_read_with_its_thoughts_and_its_empty_conversation_counted() -> None:
    reading = open_log(FIXTURES / "transcripts" / "claude-ai-conversations.json")
    conversations = list(reading.conversations)
    assert reading.dropped == {"empty conversation": 1}
    first = conversations[0]
    assert (first.id, first.title, first.started_at[:10]) == (
        "fcc237deadb8a4a7288918556e153473",
        "what are you",
        "2026-02-03",
    )
    assert first.turns[1].rationale.startswith("They want something they can say aloud")
    assert first.turns[3].text.startswith("No, though I see how it looks")  # content is empty: the plain text stands in


def test_an_attachment_follows_the_words_as_a_paste_with_its_name() -> None:
    conversations = list(open_log(FIXTURES / "transcripts" / "claude-ai-conversations.json").conversations)
    turn = next(turn for one in conversations for turn in one.turns if turn.pasted)
    start, end = turn.pasted[-1]
    assert end == len(turn.text)
    assert turn.text[start:].startswith("[")
    assert turn.text[:start].strip()


def test_tools_inside_a_message_are_its_calls_and_their_output_is_untrusted(tmp_path: Path) -> None:
    content = [
        {"type": "text", "text": "I'll look."},
        {"type": "tool_use", "id": "t1", "name": "web_search", "input": {"query": "douro"}},
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "is_error": True,
            "content": [{"type": "text", "text": "offline"}],
        },
        {"type": "text", "text": "The search is down."},
    ]
    transcript = _read(
        tmp_path,
        {"uuid": "1", "sender": "human", "text": "how is the river", "content": []},
        {"uuid": "2", "sender": "assistant", "text": "This block is not supported", "content": content},
    )
    reply = transcript.turns[1]
    assert reply.text == "I'll look.\n\nThe search is down."
    call = reply.tool_calls[0]
    assert (call.id, call.name, call.arguments, call.result, call.failed) == (
        "t1",
        "web_search",
        '{"query":"douro"}',
        "offline",
        True,
    )


def test_branches_follow_the_leaf_on_screen(tmp_path: Path) -> None:
    def message(uuid: str, parent: str, sender: str) -> dict[str, Any]:
        return {"uuid": uuid, "parent_message_uuid": parent, "sender": sender, "text": f"text of {uuid}"}

    transcript = _read(
        tmp_path,
        message("q", "00000000-0000-4000-8000-000000000000", "human"),
        message("a1", "q", "assistant"),
        message("a2", "q", "assistant"),
        message("q2", "a1", "human"),
        current_leaf_message_uuid="q2",
    )
    assert [turn.id for turn in transcript.turns] == ["q", "a1", "q2"]
    assert [(one.message_id, one.text) for one in transcript.alternatives] == [("a1", "text of a2")]
