"""The gptme reader: a message a line, what tools print, and a name from the folder."""

from pathlib import Path

from memory.transcripts.read import detect_format, read_transcript
from tests.memory.conftest import FIXTURES, write_lines

TIME = "2026-06-13T10:00:00.000000"


def test_the_sample() -> None:
    transcript = read_transcript(FIXTURES / "transcripts" / "gptme.jsonl")
    assert (transcript.id, transcript.started_at) == ("gptme", "2026-06-13T10:00:01.000000")
    assert [turn.tool_calls[0].result for turn in transcript.turns if turn.tool_calls] == [
        "Saved file: hello.py",
        "Hello, World!",
    ]
    assert [turn.line for turn in transcript.turns] == [2, 3, 5, 6]
    assert transcript.dropped == {"hidden": 1}


def test_a_conversation_is_named_by_its_folder_and_later_system_messages_are_output(tmp_path: Path) -> None:
    folder = tmp_path / "2026-06-13-hello"
    folder.mkdir()
    path = write_lines(
        folder / "conversation.jsonl",
        {"role": "system", "content": "You are gptme.", "timestamp": TIME},
        {"role": "user", "content": "run it", "timestamp": TIME},
        {"role": "assistant", "content": "```shell\nls\n```", "timestamp": TIME},
        {"role": "system", "content": "Ran command: ls", "timestamp": TIME},
    )
    assert detect_format(path) == "gptme"
    transcript = read_transcript(path)
    assert transcript.id == "2026-06-13-hello"
    assert [turn.role for turn in transcript.turns] == ["user", "assistant"]
    assert transcript.turns[1].tool_calls[0].result == "Ran command: ls"
    assert transcript.dropped == {"system": 1}
