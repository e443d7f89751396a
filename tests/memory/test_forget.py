"""Forgetting: gone from every place at once, and gone when the files are read again."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from memory.api import Memory
from memory.transcripts.read import read_transcript
from memory.transcripts.writer import FORGOTTEN
from tests.memory.conftest import CLAUDIO, MEMORY_MD, files_holding, own_session

SECRET = "The hidden well is under the cork oak Sobreirovelho"


@pytest.mark.parametrize("with_chroma", [False, True])
def test_not_one_byte_of_an_entry_is_left(claudio: Memory, with_chroma: bool) -> None:
    home = claudio.home
    kept = home.memory_file.read_bytes()
    receipt = claudio.add(SECRET)
    claudio.fill_vectors()
    if with_chroma:
        claudio.warm()
        assert claudio.recall("where is the hidden well", k=1)[0].id == receipt.id
    with claudio._store.locked() as connection:
        row = connection.execute(
            "SELECT v.vector FROM vectors v JOIN chunks c USING (text_hash) WHERE c.id = ?", (receipt.id,)
        )
        vector = bytes(row.fetchone()[0])
    (home.logs_dir / "engine.log").write_text(f"loading\nunexpected: {SECRET}\nloaded\n")
    (forgotten,) = claudio.forget([receipt.id])
    assert (forgotten.id, forgotten.action, forgotten.line) == (receipt.id, "removed", receipt.line)
    assert home.memory_file.read_bytes() == kept + b"\n## Notes\n"
    assert claudio.get([receipt.id]) == []
    assert all("well" not in found.text for found in claudio.recall("where is the hidden well under the cork oak"))
    if with_chroma:
        assert claudio.recall("when do the backups run", k=1)
    for needle in (SECRET.encode(), b"Sobreirovelho", b"sobreirovelho", vector, vector[:64]):
        assert files_holding(home.root, needle) == []
    claudio.close()
    for needle in (b"obreirovelho", vector[:64]):
        assert files_holding(home.root, needle) == []


def test_the_vector_is_gone_from_an_index_that_was_closed(claudio: Memory) -> None:
    receipt = claudio.add(SECRET)
    claudio.fill_vectors()
    claudio.warm()
    claudio.close()
    again = Memory(claudio.home)
    again.forget([receipt.id])
    again.warm()
    nearest = again._vectors._index.search(np.full(384, 384**-0.5, np.float32), 1000)
    with again._store.locked() as connection:
        wanted = {row[0] for row in connection.execute("SELECT DISTINCT text_hash FROM chunks")}
    assert {key for key, _cosine in nearest} == wanted
    assert wanted
    assert all(np.isfinite(found.score) and "well" not in found.text for found in again.recall("hidden well cork oak"))
    again.close()


def test_an_exchange_is_redacted_in_our_transcript_and_the_fact_stays(memory: Memory) -> None:
    writer, (reply, _) = own_session(
        memory.home, (SECRET, "I shall remember the cork oak."), ("other words here", "Yes.")
    )
    writer.rate(reply, 1)
    writer.edit(reply, "The cork oak Sobreirovelho it is.")
    memory.sync()
    found = memory.recall("hidden well cork oak")[0]
    receipts = memory.forget([found.id])
    assert {receipt.action for receipt in receipts} == {"redacted"}
    turns = read_transcript(writer.path).turns
    assert [turn.text for turn in turns] == [FORGOTTEN, FORGOTTEN, "other words here", "Yes."]
    assert files_holding(memory.home.root, b"obreirovelho") == []
    writer.user("a later message goes on as before")
    memory.sync()
    assert memory.recall("hidden well cork oak Sobreirovelho") == []
    assert [turn.text for talk in memory.conversations() for turn in talk.turns][:2] == [FORGOTTEN, FORGOTTEN]


def test_what_was_forgotten_of_a_foreign_file_stays_gone_and_the_file_stays_whole(
    memory: Memory, tmp_path: Path
) -> None:
    note = tmp_path / "foreign.md"
    note.write_text(f"- {SECRET}\n- another fact\n")
    log = Path(shutil.copy(sorted((CLAUDIO / "openclaw").glob("*.jsonl"))[0], tmp_path / "log.jsonl"))
    memory.ingest([note, log])
    exchange = next(found for found in memory.list() if found.message_id)
    entry = memory.recall("hidden well cork oak")[0]
    before = note.read_bytes(), log.read_bytes()
    assert [receipt.action for receipt in memory.forget([entry.id, exchange.id])] == ["forgotten", "forgotten"]
    assert (note.read_bytes(), log.read_bytes()) == before
    note.write_text(note.read_text() + "- a third fact\n")
    log.touch()
    memory.ingest([note, log])
    memory.ingest([note, log], label="private")
    texts = [found.text for found in memory.list()]
    assert SECRET not in texts
    assert "a third fact" in texts
    assert memory.get([entry.id, exchange.id]) == []


def test_copies_of_an_entry_go_with_it(memory: Memory) -> None:
    memory.add(SECRET)
    (memory.home.notes_dir / "2026-02-08.md").write_text(f"# MEMORY\n## Notes\n- {SECRET}\n- a fact to keep\n")
    memory.sync()
    receipts = memory.forget([memory.recall("hidden well")[0].id])
    assert len(receipts) == 2
    assert files_holding(memory.home.root, SECRET.encode()) == []
    assert [found.text for found in memory.list()] == ["a fact to keep"]


def test_lines_below_a_removed_one_move_up(memory: Memory) -> None:
    shutil.copy(MEMORY_MD, memory.home.memory_file)
    memory.sync()
    concha = next(found for found in memory.list() if found.text.startswith("Concha"))
    memory.forget([concha.id])
    assert memory.recall("backups every night Baleia")[0].citation == "MEMORY.md:9"


def test_said_anew_it_may_stay(memory: Memory) -> None:
    receipt = memory.add(SECRET)
    memory.forget([receipt.id])
    assert memory.add(SECRET).action == "added"
    memory.sync()
    assert memory.recall("hidden well")[0].text == SECRET


def test_unknown_ids_have_no_receipt(memory: Memory) -> None:
    assert memory.forget(["nothing", ""]) == []
