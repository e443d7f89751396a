"""A damaged memory.db: one clear line, then the memory made anew from its files and what the old one still gives."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from memory.api import Memory
from memory.errors import MemoryStoreError
from memory.home import Home
from memory.rebuild import damage_of, rebuild
from tests.memory.conftest import CLAUDIO, MEMORY_MD, files_holding

Content = dict[str, list[tuple[object, ...]]]
QUERIES = {
    "turns": "SELECT c.transcript_id, t.position, t.text FROM turns t JOIN conversations c ON c.id = t.conversation_id",
    "chunks": "SELECT id, text, label, line_start FROM chunks",
    "sources": "SELECT path, label FROM sources",
    "forgotten": "SELECT digest FROM forgotten",
}


def _content(home: Home) -> Content:
    memory = Memory(home)
    with memory._store.locked() as connection:
        connection.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
        found = {name: sorted(tuple(row) for row in connection.execute(query)) for name, query in QUERIES.items()}
    memory.close()
    return found


@pytest.fixture
def filled(bare_home: Home, tmp_path: Path) -> Home:
    """A home with entries, logs, a private document from elsewhere, and a forgotten entry that its file still holds."""
    shutil.copy(MEMORY_MD, bare_home.memory_file)
    logs = tmp_path / "logs"
    shutil.copytree(CLAUDIO, logs)
    document = tmp_path / "notes.md"
    document.write_text("- The blue barometer hangs in the boathouse.\n- The red one is broken since spring.\n")
    memory = Memory(bare_home)
    memory.sync()
    memory.ingest([logs])
    memory.ingest([document], label="private")
    (red,) = memory.recall("red broken since spring", k=1)
    memory.forget([red.id])
    memory.close()
    return bare_home


def _damage(home: Home, where: str) -> None:
    data = bytearray(home.db_file.read_bytes())
    match where:
        case "no database":
            data = bytearray(b"this is no database, whatever its name says" * 100)
        case "cut":
            data = data[: len(data) // 2]
        case "zeros":
            data[20_000:40_000] = bytes(20_000)
        case "noise":
            data[len(data) // 2 : len(data) // 2 + 8192] = random.Random(3).randbytes(8192)
    home.db_file.write_bytes(data)
    for suffix in ("-wal", "-shm"):
        home.db_file.with_name(home.db_file.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("where", ["no database", "cut", "zeros", "noise"])
def test_a_damaged_database_is_put_aside_and_made_anew_from_the_files(filled: Home, where: str) -> None:
    before = _content(filled)
    assert damage_of(filled.db_file) == ""
    _damage(filled, where)
    damaged = filled.db_file.read_bytes()
    assert damage_of(filled.db_file)
    done = rebuild(filled)
    assert done.damage
    assert Path(done.put_aside).read_bytes()[:1000] == damaged[:1000]
    assert damage_of(filled.db_file) == ""
    after = _content(filled)
    assert done.forgets == done.knows_files == (where in ("zeros", "noise"))  # of the others too little is left
    if done.forgets:
        assert after == before
    else:
        assert len(set(after["chunks"]) & set(before["chunks"])) >= 17  # MEMORY.md at the least
    assert not list(filled.root.glob("memory.rebuilding*"))


def test_conversations_whose_file_is_gone_are_taken_over(filled: Home, tmp_path: Path) -> None:
    before = _content(filled)
    shutil.rmtree(tmp_path / "logs")
    connection = sqlite3.connect(filled.db_file)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'chunks_by_hash'").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with filled.db_file.open("r+b") as file:  # the root of one index: the tables can still be read
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    done = rebuild(filled)
    assert done.damage
    assert done.forgets
    assert done.kept == len({row[0] for row in before["turns"]})
    assert done.lost == []
    assert _content(filled) == before


def test_a_sound_database_keeps_what_has_no_file_any_more(filled: Home, tmp_path: Path) -> None:
    before = _content(filled)
    shutil.rmtree(tmp_path / "logs")
    filled.memory_file.write_text(filled.memory_file.read_text() + "- A line that came meanwhile.\n")
    done = rebuild(filled)
    assert (done.damage, done.put_aside) == ("", "")
    after = _content(filled)
    assert after["turns"] == before["turns"]
    assert {row[1] for row in after["chunks"]} - {row[1] for row in before["chunks"]} == {"A line that came meanwhile."}


def test_a_newer_database_is_left_alone(filled: Home) -> None:
    connection = sqlite3.connect(filled.db_file)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(MemoryStoreError, match="newer Molting"):
        rebuild(filled)
    assert filled.db_file.exists()


def test_a_forgetting_deletes_the_damaged_databases_that_were_put_aside(filled: Home) -> None:
    damaged = []
    for where in ("noise", "zeros"):
        _damage(filled, where)
        aside = Path(rebuild(filled).put_aside)
        damaged += [aside.rename(aside.with_name(f"memory.damaged-{where}.db"))]
        aside.with_name(f"memory.damaged-{where}.db-wal").write_bytes(b"boathouse")
    filled.db_file.with_name("memory.rebuilding.db").write_bytes(b"boathouse")
    assert any(b"boathouse" in path.read_bytes() for path in damaged)
    memory = Memory(filled)
    (blue,) = memory.recall("the blue barometer in the boathouse", k=1)
    receipts = memory.forget([blue.id])
    memory.close()
    assert {Path(one.path) for one in receipts if one.action == "deleted"} >= set(damaged)
    assert files_holding(filled.root, b"boathouse") == []
