"""The ChatGPT reader: the path on screen, regenerations beside it, and nothing hidden taken for words."""

import json
from pathlib import Path
from typing import Any

from memory.transcripts.model import Transcript
from memory.transcripts.read import open_log, read_transcript
from tests.memory.conftest import FIXTURES


def _node(parent: str | None, role: str, text: str, **more: Any) -> dict[str, Any]:
    content = more.pop("content", {"content_type": "text", "parts": [text]})
    message = {"author": {"role": role}, "content": content, "weight": 1.0, "recipient": "all", **more}
    return {"parent": parent, "message": message}


def _read(tmp_path: Path, nodes: dict[str, Any], **more: Any) -> Transcript:
    path = tmp_path / "conversations.json"
    mapping = {key: {"id": key, "children": [], **node} for key, node in nodes.items()}
    path.write_text(json.dumps([{"title": "t", "conversation_id": "c", "mapping": mapping, **more}]))
    return read_transcript(path)


def test_the_branch_on_screen_is_read_and_an_edited_question_is_only_counted() -> None:
    transcript = read_transcript(FIXTURES / "transcripts" / "chatgpt-conversation.json")
    assert [turn.id for turn in transcript.turns] == ["msg-2", "msg-3", "msg-4", "msg-6"]
    assert transcript.dropped == {"other branch": 1, "system": 1}
    assert transcript.alternatives == ()
    assert transcript.turns[0].timestamp


def test_a_regeneration_is_an_alternative_with_its_thoughts(tmp_path: Path) -> None:
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "because"}]}
    transcript = _read(
        tmp_path,
        {
            "q": _node(None, "user", "why?"),
            "old-t": _node("q", "assistant", "", content=thoughts),
            "old": _node("old-t", "assistant", "An older answer."),
            "new-t": _node("q", "assistant", "", content=thoughts),
            "new": _node("new-t", "assistant", "A newer answer."),
            "edited": _node(None, "user", "why not?"),
            "other": _node("edited", "assistant", "To another question."),
        },
        current_node="new",
    )
    assert [(turn.text, turn.rationale) for turn in transcript.turns] == [
        ("why?", ""),
        ("A newer answer.", "because"),
    ]
    assert [(one.message_id, one.text, one.rationale) for one in transcript.alternatives] == [
        ("new", "An older answer.", "because")
    ]
    assert transcript.dropped["other branch"] == 3


def test_hidden_weightless_empty_and_context_messages_are_left_out(tmp_path: Path) -> None:
    hidden = {"is_visually_hidden_from_conversation": True}
    context = {"content_type": "user_editable_context", "user_profile": "x"}
    transcript = _read(
        tmp_path,
        {
            "root": {"parent": None, "message": None},
            "a": _node("root", "system", ""),
            "b": _node("a", "user", "", content=context),
            "c": _node("b", "user", "hidden words", metadata=hidden),
            "d": _node("c", "user", "typed"),
            "e": _node("d", "assistant", "weightless", weight=0.0),
            "f": _node("e", "assistant", ""),
            "g": _node("f", "assistant", "answer"),
        },
        current_node="g",
    )
    assert [turn.text for turn in transcript.turns] == ["typed", "answer"]
    assert transcript.dropped == {"system": 1, "user_editable_context": 1, "hidden": 1, "weight 0": 1, "empty": 1}


def test_what_goes_to_a_tool_is_a_call_and_its_output_the_result(tmp_path: Path) -> None:
    code = {"content_type": "code", "language": "python", "text": "print(2)"}
    output = {"content_type": "execution_output", "text": "2"}
    transcript = _read(
        tmp_path,
        {
            "q": _node(None, "user", "two?"),
            "c": _node("q", "assistant", "", content=code, recipient="python"),
            "r": {
                "parent": "c",
                "message": {"author": {"role": "tool", "name": "python"}, "content": output, "weight": 1},
            },
            "a": _node("r", "assistant", "It is two, as expected."),
        },
        current_node="a",
    )
    calls = transcript.turns[1].tool_calls
    assert [(call.name, call.arguments, call.result) for call in calls] == [("python", "print(2)", "2")]


def test_pictures_are_counted_and_the_words_beside_them_kept(tmp_path: Path) -> None:
    parts = [{"content_type": "image_asset_pointer", "asset_pointer": "x"}, "what is this?"]
    transcript = _read(
        tmp_path,
        {"q": _node(None, "user", "", content={"content_type": "multimodal_text", "parts": parts})},
    )
    assert [turn.text for turn in transcript.turns] == ["what is this?"]
    assert transcript.dropped == {"part image_asset_pointer": 1}


def test_a_mapping_that_runs_in_a_circle_ends(tmp_path: Path) -> None:
    nodes = {"a": _node("b", "user", "one"), "b": _node("a", "assistant", "two"), "c": _node("c", "user", "three")}
    assert {turn.text for turn in _read(tmp_path, nodes, current_node="b").turns} == {"one", "two"}
    path = tmp_path / "conversations.json"
    assert len(list(open_log(path).conversations)) == 1
