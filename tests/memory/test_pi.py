"""The pi/OpenClaw reader in its three versions: the path that was taken, and who said what."""

from pathlib import Path
from typing import Any

import pytest

from memory.errors import HomeError, ResumeError, UsageError
from memory.transcripts.pi import typed_text
from memory.transcripts.read import detect_format, open_log, read_transcript
from tests.memory.conftest import FIXTURES, write_lines

HEADER = {"type": "session", "version": 3, "id": "abc", "timestamp": "2026-01-01T00:00:00.000Z", "cwd": "/x"}


def _message(entry_id: str, parent: str | None, role: str, text: str, **more: Any) -> dict[str, Any]:
    message = {"role": role, "content": [{"type": "text", "text": text}], **more}
    return {
        "type": "message",
        "id": entry_id,
        "parentId": parent,
        "timestamp": "2026-01-01T00:00:01Z",
        "message": message,
    }


def test_only_the_branch_that_was_taken_is_the_conversation() -> None:
    transcript = read_transcript(FIXTURES / "transcripts" / "pi-v2-tree.jsonl")
    assert "".join(turn.role[0] for turn in transcript.turns) == "uauaua"
    assert transcript.dropped == {"other branch": 1, "hookMessage": 1}
    assert not any("regenerated" in turn.text for turn in transcript.turns)


def test_version_1_is_read_as_a_list() -> None:
    transcript = read_transcript(FIXTURES / "transcripts" / "pi-v1-excerpt.jsonl")
    assert transcript.format == "pi"
    assert transcript.turns[0].role == "user"
    assert transcript.turns[0].timestamp.startswith("2025-12-08T22:41:05")
    calls = [call for turn in transcript.turns for call in turn.tool_calls]
    assert len(calls) > 5
    assert all(call.id and call.name and call.arguments for call in calls)
    assert any(call.result for call in calls)


def test_the_conversations_with_claudio_are_read_whole() -> None:
    paths = sorted((FIXTURES / "claudio" / "openclaw").glob("*.jsonl"))
    assert paths
    for path in paths:
        transcript = read_transcript(path)
        assert (transcript.id, transcript.format, transcript.own) == (path.stem, "pi", False)
        assert transcript.dropped == {}
        assert all(turn.rationale for turn in transcript.turns if turn.role == "assistant")


def test_heartbeats_failures_and_their_repetitions_leave_no_trace(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        HEADER,
        _message("1", None, "user", "Read HEARTBEAT.md if it exists"),
        _message("2", "1", "assistant", "HEARTBEAT_OK"),
        _message("3", "2", "user", "is the disk full?"),
        _message("4", "3", "assistant", "half a sent", stopReason="error"),
        _message("5", "4", "user", "is the disk full?"),
        _message("6", "5", "assistant", "No, half."),
        _message("7", "6", "user", "telling the others: dinner at eight"),
        _message("8", "7", "assistant", "NO_REPLY"),
    )
    transcript = read_transcript(path)
    assert [turn.text for turn in transcript.turns] == [
        "is the disk full?",
        "No, half.",
        "telling the others: dinner at eight",
    ]
    assert transcript.dropped == {"heartbeat": 2, "failed reply": 1, "repeated after failover": 1}


def test_a_lost_parent_costs_its_line_and_nothing_before_it(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        HEADER,
        _message("1", None, "user", "one"),
        _message("2", "1", "assistant", "two"),
        b'{"type": "message", "id": "3", "parentId": "2", "messa',
        _message("4", "3", "user", "four"),
    )
    transcript = read_transcript(path)
    assert [turn.text for turn in transcript.turns] == ["one", "two", "four"]
    assert [item.line for item in transcript.skipped] == [4]


def test_a_parent_that_points_at_itself_or_forward_does_not_hang_the_reader(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl", HEADER, _message("1", "2", "user", "one"), _message("2", "2", "assistant", "two")
    )
    assert [turn.text for turn in read_transcript(path).turns] == ["one", "two"]


@pytest.mark.parametrize(
    ("raw", "typed"),
    [
        ("[WhatsApp +351 912 345 678 2026-02-14 18:38 UTC] olá", "olá"),
        ("[Sat 2026-02-14 18:38 GMT] two things", "two things"),
        ('Conversation info (untrusted metadata):\n```json\n{"id": 1}\n```\n\nhello', "hello"),
        ("hello\n[message_id: 4d1f]", "hello"),
        ("[draft] the note of 2026-02-14", "[draft] the note of 2026-02-14"),
    ],
)
def test_a_channels_metadata_is_stripped_and_a_persons_brackets_stay(raw: str, typed: str) -> None:
    assert typed_text(raw) == typed


def test_a_stopped_reply_says_so(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        HEADER,
        _message("1", None, "user", "count to a thousand"),
        _message("2", "1", "assistant", "one, two", stopReason="aborted"),
    )
    assert read_transcript(path).turns[1].stopped


def test_other_files_are_no_transcripts(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", {"name": "Ana", "city": "Porto"})
    assert detect_format(path) == ""
    with pytest.raises(UsageError, match="not a transcript"):
        read_transcript(path)
    with pytest.raises(HomeError, match=r"missing\.jsonl"):
        read_transcript(tmp_path / "missing.jsonl")


def test_another_answer_to_the_same_question_is_an_alternative() -> None:
    transcript = read_transcript(FIXTURES / "transcripts" / "pi-v2-tree.jsonl")
    assert [(one.message_id, one.text) for one in transcript.alternatives] == [
        ("00000002", "An answer that was regenerated away.")
    ]


def test_the_last_answer_of_each_branch_stands_for_it_and_an_edited_question_for_nothing(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        HEADER,
        _message("q", None, "user", "how is the river"),
        _message("b1", "q", "assistant", "Let me look."),
        _message("b2", "b1", "assistant", "High."),
        _message("e", None, "user", "how is the cat"),
        _message("e1", "e", "assistant", "Asleep."),
        _message("a1", "q", "assistant", "Looking."),
        _message("a2", "a1", "assistant", "Low."),
    )
    transcript = read_transcript(path)
    assert [turn.text for turn in transcript.turns] == ["how is the river", "Looking.", "Low."]
    assert [(one.message_id, one.text) for one in transcript.alternatives] == [("a2", "High.")]
    assert transcript.dropped == {"other branch": 4}


def test_tool_results_are_attached_and_a_poll_goes_with_its_steps(tmp_path: Path) -> None:
    call = {"type": "toolCall", "id": "t", "name": "read", "arguments": {"path": "HEARTBEAT.md"}}
    step = _message("2", "1", "assistant", "")
    step["message"]["content"] = [call]
    result = _message("3", "2", "toolResult", "nothing to do", toolCallId="t", toolName="read", isError=False)
    path = write_lines(
        tmp_path / "s.jsonl",
        HEADER,
        _message("1", None, "user", "Read HEARTBEAT.md if it exists. If nothing needs attention, reply HEARTBEAT_OK."),
        step,
        result,
        _message("4", "3", "assistant", "HEARTBEAT_OK"),
        _message("5", "4", "user", "Store what matters now; reply with NO_REPLY if there is nothing."),
        _message("6", "5", "assistant", "NO_REPLY"),
        _message("7", "6", "user", "good morning"),
        {**step, "id": "8", "parentId": "7"},
        {**result, "id": "9", "parentId": "8"},
        _message("10", "9", "assistant", "Good morning, all is quiet."),
    )
    transcript = read_transcript(path)
    assert [turn.text for turn in transcript.turns] == ["good morning", "Good morning, all is quiet."]
    assert [(one.name, one.result) for one in transcript.turns[1].tool_calls] == [("read", "nothing to do")]
    assert transcript.dropped == {"heartbeat": 2, "reply without text": 1}


def test_an_appended_session_is_read_on_and_a_jump_back_is_refused(tmp_path: Path) -> None:
    records = [
        HEADER,
        _message("1", None, "user", "one"),
        _message("2", "1", "assistant", "Said one."),
        _message("3", "2", "user", "two"),
        _message("4", "3", "assistant", "Said two."),
    ]
    head = read_transcript(write_lines(tmp_path / "s.jsonl", *records))
    assert head.resume_at[1] == 3
    more = [_message("5", "4", "user", "three"), _message("6", "5", "assistant", "Said three.")]
    path = write_lines(tmp_path / "s.jsonl", *records, *more)
    (tail,) = open_log(path, head.resume_at).conversations
    assert [turn.text for turn in tail.turns] == ["two", "Said two.", "three", "Said three."]
    assert tail.id == ""
    path = write_lines(tmp_path / "s.jsonl", *records, _message("5", "1", "assistant", "Said one again."))
    with pytest.raises(ResumeError, match="read the whole file"):
        list(open_log(path, head.resume_at).conversations)


def test_our_own_session_is_always_read_whole(tmp_path: Path) -> None:
    own = _message("2", "1", "assistant", "Said one.", molting={"molt": 1})
    path = write_lines(
        tmp_path / "s.jsonl", HEADER, _message("1", None, "user", "one"), own, _message("3", "2", "user", "x"), own
    )
    transcript = read_transcript(path)
    assert transcript.own
    assert transcript.resume_at == (0, 0)
