"""A real Chroma server on loopback as the index: the same answers, one line while it is away, and no text on it."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from memory.api import Memory
from memory.home import Home
from tests.memory.test_vector_index import QUERIES

CHROMA = Path(sys.executable).with_name("chroma")

pytestmark = pytest.mark.skipif(not CHROMA.exists(), reason="the chroma executable is not installed")


class Server:
    """``chroma run`` on a free port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(CHROMA), "run", "--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                if httpx.get(f"{self.address}/api/v2/heartbeat").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        pytest.fail("the server did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def collections(self) -> dict[str, int]:
        """Names of the collections and how many vectors are in each."""
        base = f"{self.address}/api/v2/tenants/default_tenant/databases/default_database/collections"
        return {one["name"]: httpx.get(f"{base}/{one['id']}/count").json() for one in httpx.get(base).json()}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "server")
    found.start()
    yield found
    found.stop()


def _ids(memory: Memory) -> list[list[str]]:
    return [[found.id for found in memory.recall(query)] for query in QUERIES]


def _copy(home: Home, remembered: Path, chroma: str) -> Home:
    shutil.copy2(remembered / "MEMORY.md", home.memory_file)
    shutil.copy2(remembered / "memory.db", home.db_file)
    home.config_file.write_text(f'[memory]\nchroma = "{chroma}"\n')
    return home


def test_a_server_holds_the_index_follows_a_forgetting_and_may_go_away(
    full_home: Home, remembered: Path, server: Server
) -> None:
    memory = Memory(_copy(full_home, remembered, server.address))
    exact = _ids(memory)
    memory.warm()
    (name,) = server.collections()
    assert name.startswith("molting-")
    assert server.collections()[name] == memory.stats()["vectors"]
    assert memory._vectors._index.is_open
    assert _ids(memory) == exact
    assert not full_home.chroma_dir.exists()

    second = Memory(full_home)  # a second process reads and writes, too
    second.warm()
    assert second._vectors._index.is_open
    assert _ids(second) == exact
    second.close()

    (gone,) = memory.recall("who feeds the cat", k=1)
    memory.forget([gone.id])
    assert list(server.collections().values()) == [0]
    memory.keep_in_step()
    assert server.collections()[name] == memory.stats()["vectors"]
    after = _ids(memory)
    assert gone.id not in after[1]

    server.stop()
    assert _ids(memory) == after  # from SQLite
    notice = memory.take_notice()
    assert server.address in notice
    assert "\n" not in notice
    memory.keep_in_step()
    assert memory.take_notice() == ""  # said once
    server.start()
    memory.warm()  # not before its time
    memory._vectors._not_before_s = 0.0
    memory.warm()
    assert memory._vectors._index.is_open
    assert _ids(memory) == after
    files = [path.read_bytes() for path in server.folder.rglob("*") if path.is_file()]
    assert not any(b"coffee" in content for content in files)
    memory.close()


def test_a_server_that_never_was_there_is_one_line_and_everything_else_works(full_home: Home, remembered: Path) -> None:
    memory = Memory(_copy(full_home, remembered, "http://127.0.0.1:9"))
    memory.warm()
    assert "http://127.0.0.1:9 does not answer" in memory.take_notice()
    assert all(_ids(memory))
    assert not memory.check_index().is_in_step
    receipt = memory.add("The spare key of the boathouse hangs behind the blue barometer.")
    assert memory.forget([receipt.id])
    memory.close()
