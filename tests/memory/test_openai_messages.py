"""The reader of OpenAI messages: calls and their results, parts, reasoning, and what is dropped."""

from pathlib import Path

from memory.transcripts.conversation import ARGUMENT_CHARS, RESULT_CHARS
from memory.transcripts.read import open_log, read_transcript
from tests.memory.conftest import FIXTURES, write_lines


def test_a_call_without_words_goes_to_the_reply_after_it() -> None:
    conversations = list(open_log(FIXTURES / "transcripts" / "openai-messages.jsonl").conversations)
    reply = conversations[1].turns[1]
    assert reply.text.startswith("None, then.")
    assert [(call.id, call.name, call.arguments, call.result) for call in reply.tool_calls] == [
        ("call_1", "recall", '{"query":"backups"}', "Backups: every night at 03:20.")
    ]
    assert sum(len(turn.tool_calls) for one in conversations for turn in one.turns) == 1
    assert conversations[0].dropped == {"system": 1}


def test_parts_reasoning_and_developer_messages(tmp_path: Path) -> None:
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {}}, "two"]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "three"}], "reasoning_content": "sum"},
    ]
    transcript = read_transcript(write_lines(tmp_path / "m.jsonl", {"id": "m", "messages": messages}))
    assert [(turn.text, turn.rationale) for turn in transcript.turns] == [("one\n\ntwo", ""), ("three", "sum")]
    assert transcript.dropped == {"developer": 1}


def test_long_arguments_and_results_are_cut(tmp_path: Path) -> None:
    call = {"id": "c", "function": {"name": "write", "arguments": "a" * 5000}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "Writing it now.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "r" * 5000},
        {"role": "tool", "tool_call_id": "unknown", "content": "lost"},
    ]
    transcript = read_transcript(write_lines(tmp_path / "m.jsonl", {"messages": messages}))
    cut = transcript.turns[1].tool_calls[0]
    assert (len(cut.arguments), len(cut.result)) == (ARGUMENT_CHARS, RESULT_CHARS)
    assert transcript.dropped == {"tool result without a call": 1}


def test_the_last_calls_of_an_exchange_go_to_the_reply_before_them(tmp_path: Path) -> None:
    call = {"id": "c", "function": {"name": "save", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "Here it is."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "user", "content": "thanks"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    transcript = read_transcript(write_lines(tmp_path / "m.jsonl", {"messages": messages}))
    assert [len(turn.tool_calls) for turn in transcript.turns] == [0, 1, 0]
    assert transcript.dropped == {"reply without text": 2, "tool call without a reply": 1}
