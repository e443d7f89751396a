"""The ShareGPT reader: every name that a role has there, and tools between."""

from pathlib import Path

import pytest

from memory.transcripts.read import open_log, read_transcript
from tests.memory.conftest import FIXTURES, write_lines


def test_the_sample_keeps_its_ids_and_counts_its_system_prompts() -> None:
    conversations = list(open_log(FIXTURES / "transcripts" / "sharegpt.jsonl").conversations)
    assert [one.id for one in conversations] == ["a-001", "a-002", "a-003"]
    assert all(one.dropped == {"system": 1} for one in conversations)
    assert all(
        turn.trust == ("owner" if turn.role == "user" else "agent") for one in conversations for turn in one.turns
    )


@pytest.mark.parametrize(("human", "agent"), [("user", "assistant"), ("human", "bard"), ("Human", "ChatGPT")])
def test_roles_by_any_name(tmp_path: Path, human: str, agent: str) -> None:
    talk = [{"from": human, "value": "olá"}, {"from": agent, "value": "Olá, Ana."}, {"from": "narrator", "value": "x"}]
    transcript = read_transcript(write_lines(tmp_path / "s.jsonl", {"conversations": talk}))
    assert [(turn.role, turn.text) for turn in transcript.turns] == [("user", "olá"), ("assistant", "Olá, Ana.")]
    assert transcript.dropped == {"narrator": 1}


def test_function_calls_and_observations_are_tool_calls(tmp_path: Path) -> None:
    talk = [
        {"from": "human", "value": "weather?"},
        {"from": "function_call", "value": '{"city": "Porto"}'},
        {"from": "observation", "value": "rain"},
        {"from": "gpt", "value": "Take the umbrella."},
    ]
    transcript = read_transcript(write_lines(tmp_path / "s.jsonl", {"id": "w", "conversations": talk}))
    call = transcript.turns[1].tool_calls[0]
    assert (call.arguments, call.result) == ('{"city": "Porto"}', "rain")
