"""``kill -9`` at seeded moments: what is left opens, and a second run ends where one clean run ends."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memory.api import Memory
from memory.home import Home
from memory.transcripts.read import read_transcript
from memory.transcripts.writer import SessionWriter
from tests.memory.conftest import CLAUDIO, MEMORY_MD, ROOT

INGEST = """
import sys
from pathlib import Path
from memory.api import Memory
from memory.home import Home
memory = Memory(Home(Path(sys.argv[1])))
tell = lambda progress: print(progress.phase, progress.done, flush=True)
memory.sync()
memory.ingest([Path(sys.argv[2])], on_progress=tell)
memory.fill_vectors(tell)
"""
MOST_LINES = 26
"""So many lines the ingest above prints before it ends, as good as."""
WRITE = """
import sys
from pathlib import Path
from memory.transcripts.writer import SessionWriter
writer = SessionWriter.create(Path(sys.argv[1]))
print(writer.path, flush=True)
for number in range(100_000):
    print(writer.user(f"words {number}." + "x" * (number % 3000)), flush=True)
"""


QUERIES = {
    "sources": "SELECT path, format, sha256, size_bytes, label, in_home, duplicates FROM sources",
    "conversations": "SELECT s.path, c.transcript_id, c.format, c.own, c.started_at, c.title, c.dropped,"
    " c.alternatives, c.redactions, c.resume_at FROM conversations c JOIN sources s ON s.id = c.source_id",
    "turns": "SELECT c.transcript_id, t.* FROM turns t JOIN conversations c ON c.id = t.conversation_id",
    "chunks": "SELECT c.*, s.path, t.transcript_id FROM chunks c JOIN sources s ON s.id = c.source_id"
    " LEFT JOIN conversations t ON t.id = c.conversation_id",
    "forgotten": "SELECT digest FROM forgotten",
    "meta": "SELECT key FROM meta",
}
NUMBERS = {"conversation_id", "source_id", "number"}
"""SQLite's own numbers, which depend on the order of reading; rows are compared by what they refer to instead."""

Vectors = dict[tuple[str, str], np.ndarray]


def _content(home: Home) -> tuple[dict[str, list[tuple[object, ...]]], Vectors]:
    """All tables without numbers and times of storing, and the vectors by text hash and embedder."""
    memory = Memory(home)
    found = {}
    with memory._store.locked() as connection:
        connection.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        for name, query in QUERIES.items():
            rows = connection.execute(query).fetchall()
            kept = [tuple(row[key] for key in row.keys() if key not in NUMBERS) for row in rows]  # noqa: SIM118
            found[name] = sorted(kept, key=repr)
        rows = connection.execute("SELECT text_hash, embedder, vector FROM vectors").fetchall()
    memory.close()
    return found, {(row[0], row[1]): np.frombuffer(row[2], np.float32) for row in rows}


def _kill_and_compare(home: Home, remembered: Path, seed: int) -> None:
    """Kill an ingest at a seeded moment, run it again to its end, and compare with one clean run."""
    chance = random.Random(seed)
    shutil.copy(MEMORY_MD, home.memory_file)
    command = [sys.executable, "-c", INGEST, str(home.root), str(CLAUDIO)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout
        for _ in range(chance.randrange(1, MOST_LINES)):  # steps of reading and of embedding
            child.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        child.kill()
    whole, whole_vectors = _content(Home(remembered))
    half, half_vectors = _content(home)
    assert len(half["chunks"]) <= len(whole["chunks"])
    assert half_vectors.keys() <= whole_vectors.keys()
    memory = Memory(home)
    memory.sync()
    memory.ingest([CLAUDIO])
    memory.fill_vectors()
    memory.close()
    again, vectors = _content(home)
    assert again == whole
    assert vectors.keys() == whole_vectors.keys()
    assert all(np.allclose(vectors[key], whole_vectors[key], atol=1e-5) for key in vectors)


@pytest.mark.parametrize("seed", range(5))
def test_ingest_that_was_killed_ends_like_one_clean_run(full_home: Home, remembered: Path, seed: int) -> None:
    _kill_and_compare(full_home, remembered, seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ingest_that_was_killed_at_two_hundred_moments_ends_like_one_clean_run(
    make_home: Callable[..., Home], remembered: Path, prepared_embedder: Path
) -> None:
    for seed in range(5, 205):
        _kill_and_compare(make_home(f"killed-{seed}"), remembered, seed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_acknowledged_is_in_the_session_of_a_killed_writer(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout
        path = Path(child.stdout.readline().decode().strip())
        acknowledged = [child.stdout.readline().decode().strip() for _ in range(chance.randrange(5, 120))]
        child.kill()
    transcript = read_transcript(path)
    assert [turn.id for turn in transcript.turns][: len(acknowledged)] == acknowledged
    assert all(turn.text.startswith(f"words {number}.") for number, turn in enumerate(transcript.turns))


def test_a_torn_session_is_read_and_gone_on_with_at_every_cut(tmp_path: Path) -> None:
    header = {"type": "session", "version": 3, "id": "s", "timestamp": "t", "cwd": "", "molting": {}}
    content = [{"type": "text", "text": "maçã"}]
    entry = {"type": "message", "id": "m1", "parentId": None, "message": {"role": "user", "content": content}}
    raw = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in (header, entry))
    first = raw.index(b"\n") + 1
    for cut in range(first, len(raw), 7):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(raw[:cut])
        SessionWriter.open(path).user("after")
        transcript = read_transcript(path)
        assert transcript.turns[-1].text == "after"
        assert path.read_bytes().startswith(raw[:cut])
        assert len(transcript.skipped) == (0 if cut in (first, len(raw) - 1) else 1)
