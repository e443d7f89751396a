"""Eight processes at once that add, forget, take back and ingest: nothing is lost, nothing comes back."""

import multiprocessing
from pathlib import Path

from memory.api import Memory
from memory.home import Home
from memory.memory_file import parse
from memory.transcripts.writer import SessionWriter
from tests.memory.conftest import files_holding

EACH = 4


def _work(root: str, number: int, ids: list[str], folder: str) -> None:
    home = Home(Path(root))
    memory = Memory(home)
    writer = SessionWriter.create(home.sessions_dir)
    for step in range(EACH):
        memory.add(f"worker {number} keeps thing number {step} on shelf {number * 10 + step}")
        taken_back = memory.add(f"worker {number} regrets thing {step} at once")
        memory.undo(taken_back.id)
        writer.user(f"worker {number} says sentence {step} about the harbour")
        note = Path(folder) / f"note-{number}-{step}.md"
        note.write_text(f"- worker {number} found stone {step} in the field\n")
        memory.ingest([note])
        memory.forget([ids[step]])
        memory.sync()
    memory.close()


def test_nothing_is_lost_and_nothing_comes_back(bare_home: Home, tmp_path: Path) -> None:
    secrets = [f"secret zebra{number:02d} sleeps in stable {number}" for number in range(8 * EACH)]
    bare_home.memory_file.write_text("# MEMORY\n\n## Stable\n" + "".join(f"- {secret}\n" for secret in secrets))
    memory = Memory(bare_home)
    memory.sync()
    ids = [next(one.id for one in memory.list(limit=500) if one.text == secret) for secret in secrets]
    memory.close()
    folder = tmp_path / "notes"
    folder.mkdir()
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(str(bare_home.root), n, ids[n * EACH : (n + 1) * EACH], str(folder)))
        for n in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8

    again = Memory(bare_home)
    again.sync()
    kept = {f"worker {n} keeps thing number {step} on shelf {n * 10 + step}" for n in range(8) for step in range(EACH)}
    found = {f"worker {n} found stone {step} in the field" for n in range(8) for step in range(EACH)}
    assert {entry.text for entry in parse(bare_home.memory_file.read_text())} == kept
    texts = {one.text for one in again.list(limit=1000)}
    assert {text for text in texts if not text.startswith("My human: ")} == kept | found
    said = {turn.text for talk in again.conversations() for turn in talk.turns}
    assert said == {f"worker {n} says sentence {step} about the harbour" for n in range(8) for step in range(EACH)}
    with again._store.locked() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        connection.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
        assert connection.execute("SELECT count(*) FROM forgotten").fetchone()[0] >= 8 * EACH
    again.close()
    assert files_holding(bare_home.root, b"zebra") == []
