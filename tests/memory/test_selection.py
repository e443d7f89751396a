"""What a forgetting by words, source or day would take, and that it takes that and nothing else."""

import json
from pathlib import Path

import pytest

from memory.api import Memory
from memory.errors import UsageError
from memory.transcripts.writer import FORGOTTEN
from tests.memory.conftest import files_holding, own_session


@pytest.fixture
def filled(memory: Memory, tmp_path: Path) -> Memory:
    memory.home.memory_file.write_text(
        "# MEMORY\n\n## Things\n- A maçã de João está na mesa.\n- The key is under the mat.\n"
    )
    (memory.home.notes_dir / "2026-02-08.md").write_text("- The key was lost.\n- It rained.\n")
    own_session(memory.home, ("where is my spare key?", "The key hangs by the door."), ("and the tea?", "In the tin."))
    log = tmp_path / "logs" / "log.jsonl"
    log.parent.mkdir()
    log.write_text(
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": "the boat leaves at nine from the old pier"},
                    {"role": "assistant", "content": "Noted."},
                ]
            }
        )
    )
    memory.sync()
    memory.ingest([log.parent])
    return memory


def test_by_words_it_takes_what_says_them_all_the_agents_own_replies_included(filled: Memory) -> None:
    selection = filled.select(query="the key")
    assert {one.text for one in selection.memories} == {"The key is under the mat.", "The key was lost."}
    assert selection.unlisted == 2  # a question and a reply that nobody approved are no memories
    filled.forget_all(selection.ids, selection.messages)
    assert [files_holding(filled.home.root, word) for word in (b"The key", b"spare key", b"by the door")] == [
        [],
        [],
        [],
    ]
    assert len(files_holding(filled.home.root, b"In the tin.")) >= 1
    assert [one.text for one in filled.select(query="maca joao").memories] == ["A maçã de João está na mesa."]


def test_by_source_it_takes_a_file_a_folder_or_a_conversation(filled: Memory, tmp_path: Path) -> None:
    assert len(filled.select(source="MEMORY.md").memories) == 2
    assert len(filled.select(source=str(filled.home.notes_dir)).memories) == 2
    assert len(filled.select(source=str(tmp_path / "logs")).memories) == 1
    own = next(talk for talk in filled.conversations() if talk.own)
    selection = filled.select(source=own.id[:8])
    assert selection.messages == {own.id: {turn.id for turn in own.turns}}
    filled.forget_all(selection.ids, selection.messages)
    assert [turn.text for turn in filled.conversation(own.id).turns] == [FORGOTTEN] * 4  # type: ignore[union-attr]
    assert len(filled.list()) == 5
    with pytest.raises(UsageError, match="nothing in the memory came from it"):
        filled.select(source="nowhere.md")


def test_by_day_it_takes_what_has_that_day(filled: Memory) -> None:
    assert [one.text for one in filled.select(since="2026-02-08", until="2026-02-08").memories] == [
        "The key was lost.",
        "It rained.",
    ]
    assert filled.select(since="2026-02-08", until="2026-02-08", query="key").ids != []
    own = filled.select(since="1d")
    assert len(own.messages) == 1
    assert not filled.select(until="1999-01-01")
    for wrong in ({"since": "yesterday"}, {"since": "2026-03-01", "until": "2026-02-01"}, {}):
        with pytest.raises(UsageError):
            filled.select(**wrong)


def test_a_title_an_old_branch_and_a_tools_result_go_with_the_exchange(memory: Memory) -> None:
    writer, _ = own_session(memory.home, ("tell me of the heron", "The heron is grey."))
    question = json.loads(writer.path.read_text().splitlines()[1])["id"]
    lines = [
        {
            "type": "message",
            "id": "aa000001",
            "parentId": question,
            "message": {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Another word on the heron."},
                    {"type": "toolCall", "id": "t1", "name": "read", "arguments": {"path": "heron.txt"}},
                ],
            },
        },
        {
            "type": "message",
            "id": "aa000002",
            "parentId": "aa000001",
            "message": {
                "role": "toolResult",
                "toolCallId": "t1",
                "content": [{"type": "text", "text": "heron facts"}],
                "details": "heron",
            },
        },
        {
            "type": "message",
            "id": "aa000003",
            "parentId": None,
            "message": {"role": "user", "content": "heron, you know"},
        },
        {"type": "session_info", "id": "aa000004", "parentId": question, "name": "All about herons and the heron"},
        {
            "type": "message",
            "id": "aa000005",
            "parentId": question,
            "message": {
                "role": "assistant",
                "content": [{"type": "text", "text": "The heron is grey, I said."}],
                "molting": {"molt": 1},
            },
        },
    ]
    with writer.path.open("a") as file:
        file.writelines(json.dumps({"timestamp": "2026-02-08T10:00:00Z", **line}) + "\n" for line in lines)
    memory.sync()
    selection = memory.select(query="heron")
    memory.forget_all(selection.ids, selection.messages)
    assert files_holding(memory.home.root, b"heron") == []
    assert writer.path.read_text().count("\n") == 8
