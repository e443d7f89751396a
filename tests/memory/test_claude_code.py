"""The Claude Code reader: messages rebuilt, and nothing the person did not type taken for their words."""

from pathlib import Path
from typing import Any

import pytest

from memory.transcripts.claude_code import typed_text
from memory.transcripts.read import detect_format, read_transcript
from tests.memory.conftest import FIXTURES, write_lines


def _user(text: str, uuid: str, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": text}
    return {
        "type": "user",
        "uuid": uuid,
        "sessionId": "s",
        "timestamp": "2026-01-01T00:00:00Z",
        "message": message,
        **more,
    }


def _block(
    block: dict[str, Any], uuid: str, message_id: str = "m1", request: str = "r1", **more: Any
) -> dict[str, Any]:
    message = {"id": message_id, "role": "assistant", "content": [block], "model": "claude"}
    return {"type": "assistant", "uuid": uuid, "sessionId": "s", "requestId": request, "message": message, **more}


def test_one_message_is_rebuilt_from_its_lines_though_others_lie_between(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        _user("question", "u1"),
        _block({"type": "thinking", "thinking": "because"}, "a1"),
        _block({"type": "text", "text": "first"}, "a2"),
        {"type": "progress", "uuid": "p", "parentUuid": "a2"},
        _block({"type": "tool_use", "id": "t", "name": "Bash", "input": {}}, "a3"),
        _block({"type": "text", "text": "second"}, "a4"),
        _block({"type": "text", "text": "another message"}, "a5", "m1", "r2"),
    )
    transcript = read_transcript(path)
    replies = [turn for turn in transcript.turns if turn.role == "assistant"]
    assert [(turn.id, turn.text, turn.rationale) for turn in replies] == [
        ("a1", "first\n\nsecond", "because"),
        ("a5", "another message", ""),
    ]
    assert transcript.dropped == {"progress": 1}
    assert [(call.id, call.name, call.arguments) for call in replies[0].tool_calls] == [("t", "Bash", "{}")]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"isMeta": True}, "meta"),
        ({"isSidechain": True}, "side chain"),
        ({"isCompactSummary": True}, "compaction summary"),
        ({"isVisibleInTranscriptOnly": True}, "visible in transcript only"),
        ({"origin": {"kind": "task-notification"}}, "origin task-notification"),
    ],
)
def test_what_the_person_did_not_type_is_dropped_and_counted(tmp_path: Path, more: dict[str, Any], reason: str) -> None:
    path = write_lines(tmp_path / "s.jsonl", _user("typed", "u1"), _user("not typed", "u2", **more))
    transcript = read_transcript(path)
    assert [turn.text for turn in transcript.turns] == ["typed"]
    assert transcript.dropped == {reason: 1}


def test_synthetic_replies_tool_results_and_repeated_records_are_dropped(tmp_path: Path) -> None:
    result = {"role": "user", "content": [{"type": "tool_result", "content": "out"}, {"type": "text", "text": "x"}]}
    synthetic = _block({"type": "text", "text": "API Error"}, "a9")
    synthetic["message"]["model"] = "<synthetic>"
    path = write_lines(
        tmp_path / "s.jsonl",
        _user("typed", "u1"),
        _user("typed", "u1"),
        {"type": "user", "uuid": "u2", "message": result},
        synthetic,
        {"type": "hologram", "uuid": "h"},
    )
    transcript = read_transcript(path)
    assert [turn.text for turn in transcript.turns] == ["typed"]
    assert transcript.dropped == {"repeated uuid": 1, "tool result without a call": 1, "synthetic": 1, "hologram": 1}


def test_a_damaged_record_does_not_hide_a_whole_one_with_its_uuid(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", _user("", "u1", message="error"), _user("whole", "u1"))
    assert [turn.text for turn in read_transcript(path).turns] == ["whole"]


def test_queued_text_is_the_persons_and_queued_notifications_are_not(tmp_path: Path) -> None:
    def queued(prompt: str, uuid: str) -> dict[str, Any]:
        attachment = {"type": "queued_command", "commandMode": "prompt", "prompt": prompt}
        return {"type": "attachment", "uuid": uuid, "sessionId": "s", "attachment": attachment}

    path = write_lines(
        tmp_path / "s.jsonl",
        _user("typed", "u1"),
        queued("wait, use the other file", "q1"),
        queued("<task-notification><status>completed</status></task-notification>", "q2"),
    )
    assert [turn.text for turn in read_transcript(path).turns] == ["typed", "wait, use the other file"]


@pytest.mark.parametrize(
    ("raw", "typed"),
    [
        ("<system-reminder>be nice</system-reminder>hello", "hello"),
        ("<command-message>review</command-message>\n<command-name>/review</command-name>", ""),
        ("<command-name>/review</command-name><command-args>the parser</command-args>", "the parser"),
        ("<local-command-stdout>bye</local-command-stdout>", ""),
        ("<bash-input>ls</bash-input>", ""),
        ("<ide_opened_file>a.py</ide_opened_file>why is this red", "why is this red"),
        ("[Request interrupted by user for tool use]", ""),
        ("Caveat: The messages below were generated by the user while running local commands. DO NOT", ""),
        ("use <branch> and <id> as they are", "use <branch> and <id> as they are"),
    ],
)
def test_wrapper_tags_are_stripped_and_a_persons_own_brackets_stay(raw: str, typed: str) -> None:
    assert typed_text(raw) == typed


def test_a_summary_names_the_session_and_the_last_one_wins(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        {"type": "summary", "summary": "old"},
        _user("typed", "u1"),
        {"type": "summary", "summary": "new"},
    )
    assert read_transcript(path).title == "new"


@pytest.mark.parametrize(
    ("name", "roles", "skipped_lines"),
    [
        ("claude-code-representative", "uauauau", []),
        ("claude-code-todowrite", "uaaua", []),
        ("claude-code-edge-cases", "uauuau", [13, 15, 16]),
        ("claude-code-truncated", "ua", [3]),
        ("claude-code-queued", "u", []),
    ],
)
def test_real_samples(name: str, roles: str, skipped_lines: list[int]) -> None:
    path = FIXTURES / "transcripts" / f"{name}.jsonl"
    assert detect_format(path) == "claude-code"
    transcript = read_transcript(path)
    assert "".join(turn.role[0] for turn in transcript.turns) == roles
    assert [item.line for item in transcript.skipped] == skipped_lines
    assert all(turn.text.strip() for turn in transcript.turns)


def test_the_conversations_with_claudio_have_a_rationale_for_every_reply() -> None:
    paths = sorted((FIXTURES / "claudio" / "claude-code").glob("*.jsonl"))
    assert paths
    for path in paths:
        transcript = read_transcript(path)
        assert (transcript.id, transcript.own, transcript.skipped) == (path.stem, False, ())
        replies = [turn for turn in transcript.turns if turn.role == "assistant"]
        assert replies
        assert all(turn.rationale and turn.trust == "agent" and turn.spoken_by is None for turn in replies)
