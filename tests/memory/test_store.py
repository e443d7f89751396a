"""SQLite, the truth: folding of words, transactions, and a file that is not ours to understand."""

import sqlite3
import threading
from contextlib import closing

import pytest

from memory.api import Memory
from memory.errors import MemoryStoreError
from memory.home import Home
from memory.schema import damage_advice
from memory.store import Store


@pytest.mark.parametrize(
    "query", ["maca joao", "MAÇÃ JOÃO", "maçã do João", "maçãs", "joao's apple maca", "A maçã está na mesa?"]
)
def test_accents_and_case_are_folded(memory: Memory, query: str) -> None:
    memory.add("A maçã de João está na mesa.")
    for number in range(30):
        memory.add(f"Outra coisa sobre a mesa {number}: um livro, uma chave, um gato.")
    assert "A maçã de João está na mesa." in [found.text for found in memory.recall(query)]


def test_english_plurals_find_each_other(memory: Memory) -> None:
    memory.add("Backups run at night")
    assert [found.text for found in memory.recall("backup")] == ["Backups run at night"]


@pytest.mark.parametrize(
    "query", ['"', "a AND", "NEAR(x y", "col:word", "*", "'; DROP TABLE chunks; --", "^x + -y", "\0", ""]
)
def test_no_question_is_a_syntax_error(memory: Memory, query: str) -> None:
    memory.add("something to be found or not")
    memory.recall(query)
    assert memory.stats()["memories"] == 1


def test_full_text_index_is_in_step_after_changes(memory: Memory) -> None:
    memory.home.memory_file.write_text("- alpha one\n- beta two\n")
    memory.sync()
    memory.home.memory_file.write_text("- beta two\n- gamma three\n")
    memory.sync()
    with memory._store.locked() as connection:
        connection.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
    assert memory.recall("alpha") == []
    assert [found.citation for found in memory.recall("gamma")] == ["MEMORY.md:2"]


def test_a_failed_transaction_leaves_nothing(bare_home: Home) -> None:
    store = Store(bare_home.db_file)

    def fail() -> None:
        with store.transaction() as connection:
            connection.execute("INSERT INTO forgotten VALUES ('x')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.forgotten() == set()
    store.close()
    store.close()


def test_a_damaged_and_a_newer_file_get_one_clear_line(bare_home: Home) -> None:
    bare_home.db_file.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(MemoryStoreError, match=r"memory\.db.*molt memory rebuild"):
        Memory(bare_home)
    bare_home.db_file.unlink()
    Memory(bare_home).close()
    connection = sqlite3.connect(bare_home.db_file)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(MemoryStoreError, match="newer Molting"):
        Memory(bare_home)


def test_after_close_the_error_names_the_file(memory: Memory) -> None:
    memory.close()
    with pytest.raises(MemoryStoreError, match=r"memory\.db: closed already"):
        memory.recall("anything")


def test_threads_share_one_memory(memory: Memory) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            memory.add(f"fact {number} about threads")
            assert memory.recall(f"fact {number}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert memory.stats()["memories"] == 8


def test_two_memories_of_one_home_see_each_other(memory: Memory) -> None:
    other = Memory(memory.home)
    memory.add("written by the first")
    assert [found.text for found in other.recall("written first")] == ["written by the first"]
    other.close()


def test_a_full_disk_is_named_and_what_was_finished_is_kept(memory: Memory) -> None:
    home = memory.home
    home.notes_dir.mkdir(parents=True, exist_ok=True)
    home.memory_file.write_text("- The ferry leaves at eight.\n")
    memory.sync()
    with memory._store.locked() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 2}")
    home.notes_dir.joinpath("2026-01-01.md").write_text("\n".join(f"- note {n} {'long ' * 40}" for n in range(300)))
    with pytest.raises(MemoryStoreError, match=r"memory\.db: the disk is full; free some space"):
        memory.sync()
    with memory._store.locked() as connection:
        connection.execute("PRAGMA max_page_count=1073741823")
    assert [found.text for found in memory.recall("ferry")] == ["The ferry leaves at eight."]
    memory.sync()
    assert memory.stats()["memories"] == 301


def test_a_home_that_cannot_be_written_is_one_line(memory: Memory) -> None:
    path = memory.home.db_file
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("DELETE FROM chunks")
        advice = damage_advice(path, caught.value)
    assert "cannot be written" in advice
    assert "rebuild" not in advice
    with pytest.raises(sqlite3.OperationalError) as caught, closing(sqlite3.connect(path.parent)) as connection:
        connection.execute("SELECT 1 FROM sqlite_master")
    assert "cannot be written" in damage_advice(path, caught.value)


def test_what_is_deleted_is_overwritten(memory: Memory) -> None:
    with memory._store.locked() as connection:
        pragmas = ("secure_delete", "journal_mode", "synchronous", "foreign_keys")
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
    assert found == {"secure_delete": 1, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
