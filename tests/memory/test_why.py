"""Where a memory came from, the words around it, and when it was shown."""

from pathlib import Path

import pytest

from memory.api import Memory
from memory.errors import UsageError
from memory.transcripts.writer import SessionWriter
from tests.memory.conftest import own_session


def test_of_an_entry_it_shows_the_lines_around_and_where_it_was_shown(memory: Memory) -> None:
    memory.home.memory_file.write_text("# MEMORY\n\n## Things\n- one\n- the key is under the mat\n- three\n")
    memory.sync()
    (key,) = [one for one in memory.list() if "key" in one.text]
    writer = SessionWriter.create(memory.home.sessions_dir)
    writer.user("where is it?")
    reply = writer.assistant("Under the mat.", molt=4, base_sha256="", model="m", memories=[key.id])
    memory.home.memory_file.write_text("# MEMORY\n\nnew\n\n## Things\n- one\n- the key is under the mat\n- three\n")
    memory.sync()
    found = memory.why(key.id)
    assert found.place == f"{memory.home.memory_file}:7"
    assert [(place, own) for place, _, own in found.around] == [("5", False), ("6", False), ("7", True), ("8", False)]
    assert [(one.conversation, one.message_id, one.molt) for one in found.shown] == [(writer.id, reply, 4)]
    with pytest.raises(UsageError, match="no memory of this id; see: molt memory ls"):
        memory.why("nothing")


def test_of_an_exchange_it_shows_what_was_said_before_and_after(memory: Memory) -> None:
    writer, _ = own_session(
        memory.home, ("hello there", "Hi."), ("the boat leaves at nine", "Yes."), ("bye now", "Bye.")
    )
    memory.sync()
    (boat,) = [one for one in memory.list() if "boat" in one.text]
    found = memory.why(boat.id)
    assert [(who, words, own) for who, words, own in found.around] == [
        ("he", "Hi.", False),
        ("you", "the boat leaves at nine", True),
        ("he", "Yes.", True),
        ("you", "bye now", False),
    ]
    assert found.memory.conversation == writer.id


def test_a_source_that_vanished_is_named(memory: Memory, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("- the key is under the mat\n")
    memory.ingest([note])
    note.unlink()
    (key,) = memory.list()
    found = memory.why(key.id)
    assert found.missing.startswith(f"{note} is gone since it was read on 20")
    assert [receipt.action for receipt in memory.forget([key.id])] == ["forgotten"]
