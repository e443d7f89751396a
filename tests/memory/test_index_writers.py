"""Eight processes at once: each embeds, warms up, adds and searches; nothing is lost and one index holds it all."""

import subprocess
import sys
import time
from pathlib import Path

from memory import embedder
from memory.api import Memory
from memory.exact import hashes_of
from memory.home import Home
from tests.memory.conftest import CLAUDIO, MEMORY_MD, ROOT

WORK = """
import sys
from pathlib import Path
from memory.api import Memory
from memory.home import Home
memory = Memory(Home(Path(sys.argv[1])))
number = int(sys.argv[2])
memory.sync()
memory.ingest([Path(sys.argv[3])])
memory.warm()
for step in range(3):
    text = f"Process {number} painted boat {100 + number * 10 + step} green."
    memory.add(text)
    memory.fill_vectors()
    memory.keep_in_step()
    assert any(found.text == text for found in memory.recall(text, k=60, budget_tokens=4000)), text
memory.close()
"""


def test_eight_processes_lose_nothing_and_one_index_holds_it_all(full_home: Home) -> None:
    full_home.memory_file.write_bytes(MEMORY_MD.read_bytes())
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(full_home.root), str(number), str(CLAUDIO)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        for number in range(8)
    ]
    errors = [child.communicate(timeout=240)[1].decode() for child in children]
    assert [child.returncode for child in children] == [0] * 8, errors
    lines = full_home.memory_file.read_text()
    expected = [
        f"Process {number} painted boat {100 + number * 10 + step} green." for number in range(8) for step in range(3)
    ]
    assert [line for line in expected if lines.count(line) != 1] == []
    memory = Memory(full_home)
    memory.warm()
    stats = memory.stats()
    assert stats["vectors_missing"] == 0
    stored = hashes_of(memory._store, embedder.NAME)
    assert memory.check_index().is_in_step
    vector = memory._vectors._loaded().encode_query("boat")
    assert {key for key, _ in memory._vectors._index.search(vector, 10_000)} == stored
    memory.close()


def test_a_process_that_is_killed_leaves_the_index_to_the_next(full_home: Home, remembered: Path) -> None:
    full_home.memory_file.write_bytes((remembered / "MEMORY.md").read_bytes())
    full_home.db_file.write_bytes((remembered / "memory.db").read_bytes())
    code = WORK.partition("for step")[0] + "print('warm', flush=True)\nsys.stdin.read()\n"
    command = [sys.executable, "-c", code, str(full_home.root), "1", str(CLAUDIO)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"warm\n"
        child.kill()
    memory = Memory(full_home)
    exact = [found.id for found in memory.recall("when do the backups run")]
    memory.warm()
    for _ in range(100):  # its child closes Chroma in its own time
        if memory.check_index().is_in_step:
            break
        time.sleep(0.1)
    assert memory._vectors._index.is_open
    assert not memory._vectors._index.was_made_anew
    assert [found.id for found in memory.recall("when do the backups run")] == exact
    memory.close()
