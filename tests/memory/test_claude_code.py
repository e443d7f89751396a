"""The Claude Code reader: messages rebuilt, and nothing the person did not type taken for their words."""

from pathlib import Path
from typing import Any

import pytest

from memory.errors import UsageError
from memory.transcripts.claude_code import typed_text
from memory.transcripts.read import detect_format, open_log, read_transcript
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


def test_text_handed_over_in_the_middle_of_work_is_kept_once(tmp_path: Path) -> None:
    def queue(operation: str, content: str | None = None) -> dict[str, Any]:
        return {"type": "queue-operation", "operation": operation, "sessionId": "s", "content": content}

    def attached(prompt: str) -> dict[str, Any]:
        return {"type": "attachment", "uuid": "q9", "attachment": {"type": "queued_command", "prompt": prompt}}

    path = write_lines(
        tmp_path / "s.jsonl",
        _user("typed", "u1"),
        queue("enqueue", "wait, I should rebase"),
        queue("enqueue", "<task-notification>done</task-notification>"),
        queue("enqueue", "/exit"),
        queue("remove"),
        _block({"type": "text", "text": "Go ahead and rebase."}, "a1"),
        queue("remove"),
        queue("remove"),
        attached("wait, I should rebase"),
        queue("enqueue", "runs as a prompt"),
        queue("dequeue"),
        _user("runs as a prompt", "u2"),
        queue("enqueue", "taken back"),
        queue("popAll", "taken back"),
        _user("taken back and said better", "u3"),
    )
    transcript = read_transcript(path)
    assert [turn.text for turn in transcript.turns] == [
        "typed",
        "wait, I should rebase",
        "Go ahead and rebase.",
        "runs as a prompt",
        "taken back and said better",
    ]
    assert transcript.dropped["queued text, logged again"] == 1


@pytest.mark.parametrize(
    ("raw", "typed"),
    [
        ("<agent-notification><id>1</id></agent-notification>\nRead the output file to retrieve the result: /x", ""),
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


def test_results_find_their_calls_and_calls_without_words_their_reply(tmp_path: Path) -> None:
    def result(call_id: str, content: Any, **more: Any) -> dict[str, Any]:
        block = {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}
        return {"type": "user", "uuid": f"r-{call_id}", "message": {"role": "user", "content": [block]}}

    path = write_lines(
        tmp_path / "s.jsonl",
        _user("question", "u1"),
        _block({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}, "a1", "m1"),
        _block({"type": "tool_use", "id": "t2", "name": "Read", "input": {"file": "x"}}, "a2", "m1"),
        result("t2", [{"type": "text", "text": "inside x"}]),
        result("t1", "no such folder", is_error=True),
        _block({"type": "text", "text": "There is no folder."}, "a3", "m2", "r2"),
    )
    reply = read_transcript(path).turns[1]
    assert [(call.name, call.arguments, call.result, call.failed) for call in reply.tool_calls] == [
        ("Bash", '{"command":"ls"}', "no such folder", True),
        ("Read", '{"file":"x"}', "inside x", False),
    ]


def test_a_file_of_side_chains_alone_is_no_conversation(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "agent-1.jsonl",
        _user("search the code", "u1", isSidechain=True),
        _block({"type": "text", "text": "Found it."}, "a1", isSidechain=True),
        b'{"torn',
    )
    reading = open_log(path)
    assert list(reading.conversations) == []
    assert reading.dropped == {"side chain": 2}
    assert [item.line for item in reading.skipped] == [3]
    with pytest.raises(UsageError, match="no conversation"):
        read_transcript(path)


def test_a_resumed_session_is_named_by_its_file_not_by_its_replayed_prefix(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "new.jsonl", _user("old words", "u1", sessionId="old"), _user("new words", "u2", sessionId="new")
    )
    assert read_transcript(path).id == "new"


def _exchange(number: int) -> list[dict[str, Any]]:
    return [
        _user(f"question {number}", f"u{number}"),
        _block({"type": "text", "text": f"Answer number {number}."}, f"a{number}", f"m{number}"),
    ]


def test_an_appended_log_is_read_on_from_its_last_exchange(tmp_path: Path) -> None:
    records = [record for number in range(4) for record in _exchange(number)]
    path = write_lines(tmp_path / "s.jsonl", *records)
    whole = read_transcript(path)
    for cut in range(2, len(records)):
        part = read_transcript(write_lines(tmp_path / "part.jsonl", *records[:cut]))
        (tail,) = open_log(path, part.resume_at).conversations
        lines_before = part.resume_at[1]
        kept = tuple(turn for turn in part.turns if turn.line <= lines_before)
        assert kept + tail.turns == whole.turns
        assert lines_before == 2 * ((cut - 2) // 2) or part.resume_at == (0, 0)
    assert whole.resume_at[1] == 6


def test_nothing_is_resumed_past_a_paste_or_inside_a_reply(tmp_path: Path) -> None:
    pasted = write_lines(
        tmp_path / "p.jsonl", *_exchange(0), _user("sum up\n```\nx\n```", "p"), *_exchange(1), *_exchange(2)
    )
    assert read_transcript(pasted).resume_at[1] == 2  # later replies may repeat the paste
    queued = {"type": "attachment", "uuid": "q", "attachment": {"type": "queued_command", "prompt": "wait"}}
    inside = write_lines(
        tmp_path / "q.jsonl",
        *_exchange(0),
        *_exchange(1),
        queued,
        _block({"type": "text", "text": "And more."}, "a9", "m1"),
        _block({"type": "text", "text": "Waiting."}, "a10", "m10"),
    )
    assert read_transcript(inside).resume_at[1] == 2
