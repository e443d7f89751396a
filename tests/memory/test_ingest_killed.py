"""``kill -9`` at seeded moments: what is left opens, and a second run ends where one clean run ends."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

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
WRITE = """
import sys
from pathlib import Path
from memory.transcripts.writer import SessionWriter
writer = SessionWriter.create(Path(sys.argv[1]))
print(writer.path, flush=True)
for number in range(100_000):
    print(writer.user(f"words {number}." + "x" * (number % 3000)), flush=True)
"""


def _content(home: Home) -> dict[str, list[tuple[object, ...]]]:
    """All that was read, without numbers and times of storing."""
    memory = Memory(home)
    queries = {
        "sources": "SELECT path, format, sha256, label FROM sources",
        "turns": "SELECT c.transcript_id, t.position, t.id, t.text, t.rationale FROM turns t JOIN conversations c"
        " ON c.id = t.conversation_id",
        "chunks": "SELECT id, text, search_text, text_hash, line_start, message_ids FROM chunks",
        "vectors": "SELECT text_hash, embedder, length(vector) FROM vectors",
    }
    with memory._store.locked() as connection:
        connection.execute("INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('integrity-check', 1)")
        found = {name: sorted(tuple(row) for row in connection.execute(query)) for name, query in queries.items()}
    memory.close()
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ingest_that_was_killed_ends_like_one_clean_run(full_home: Home, remembered: Path, seed: int) -> None:
    chance = random.Random(seed)
    shutil.copy(MEMORY_MD, full_home.memory_file)
    lines_until_kill = {1: 3, 2: 14, 3: 23}[seed]  # early and late while reading, and between two batches of vectors
    command = [sys.executable, "-c", INGEST, str(full_home.root), str(CLAUDIO)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout
        for _ in range(lines_until_kill):
            child.stdout.readline()
        time.sleep(chance.uniform(0, 0.01))
        child.kill()
    assert child.returncode == -signal.SIGKILL
    half = _content(full_home)
    whole = _content(Home(remembered))
    assert len(half["vectors"]) < len(whole["vectors"])
    memory = Memory(full_home)
    memory.sync()
    memory.ingest([CLAUDIO])
    memory.fill_vectors()
    memory.close()
    assert _content(full_home) == whole


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
