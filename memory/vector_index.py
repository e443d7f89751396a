"""Chroma, the derived vector index: made from SQLite, owned by one process at a time, rebuilt whenever it disagrees.

It holds vectors under the hash of their text and no text at all, so nothing readable is left in its files. Chroma is
not safe for two processes: the first to open it owns it, any other searches SQLite exactly. A damaged file can kill the
process that opens it, so after an unclean end a child process opens it first.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.files import file_lock, write_atomic

if TYPE_CHECKING:
    import numpy as np

COLLECTION = "memories"
BATCH = 1024
PROBE_TIMEOUT_S = 60
LoadVectors = Callable[[Sequence[str]], "np.ndarray[Any, Any]"]


class VectorIndex:
    """One Chroma collection in ``folder``; every method but ``open`` and ``close`` needs it open."""

    def __init__(self, folder: Path, embedder: str) -> None:
        self._folder = folder
        self._embedder = embedder
        self._stack = ExitStack()
        self._client: Any = None
        self._collection: Any = None
        self._hashes: set[str] = set()
        self.purges = -1

    @property
    def is_open(self) -> bool:
        return self._collection is not None

    def open(self, purges: int) -> bool:
        """Take ownership and open; False when another process has it. A damaged index is made anew, never an error.

        ``purges`` is the store's count of forgettings: an index from before the last one is not opened but made anew.
        """
        if self.is_open:
            return True
        if not self._stack.enter_context(file_lock(self._folder / ".lock", blocking=False)):
            self._stack.close()
            return False
        state = self._read_state()
        self.purges = purges
        data = self._folder / str(state.get("data", "0"))
        is_current = (state.get("embedder"), state.get("purges")) == (self._embedder, purges)
        is_clean = state.get("files") == _fingerprint(data) if data.exists() else True
        if not is_current or not (is_clean or _survives_probe(data)):
            data = self._new_data(data)
        try:
            self._connect(data)
        except Exception:  # chromadb raises errors of its Rust core, of SQLite and of its own for damaged files
            self._disconnect()
            self._connect(self._new_data(data))
        return True

    def sync(self, wanted: set[str], load: LoadVectors, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Make the index hold exactly ``wanted`` text hashes; ``load`` gives vectors [n, d]. False when stopped."""
        extra = list(self._hashes - wanted)
        missing = sorted(wanted - self._hashes)
        for start in range(0, len(extra), BATCH):
            self._collection.delete(ids=extra[start : start + BATCH])
            self._hashes.difference_update(extra[start : start + BATCH])
        for start in range(0, len(missing), BATCH):
            if should_stop():
                return False
            part = missing[start : start + BATCH]
            self._collection.upsert(ids=part, embeddings=load(part))
            self._hashes.update(part)
        return True

    def search(self, vector: "np.ndarray[Any, Any]", limit: int) -> list[tuple[str, float]]:
        """The nearest (text hash, cosine), best first."""
        count = min(limit, len(self._hashes))
        if not count:
            return []
        found = self._collection.query(query_embeddings=[vector], n_results=count, include=["distances"])
        return [(key, 1.0 - float(far)) for key, far in zip(found["ids"][0], found["distances"][0], strict=True)]

    def distance_from(self, wanted: set[str]) -> int:
        """How many vectors would have to come or go for the index to hold exactly ``wanted``."""
        return len(self._hashes ^ wanted)

    def discard(self) -> bool:
        """Delete the files of an index that nobody has open; False when another process has it."""
        if not self._folder.exists():
            return True
        with file_lock(self._folder / ".lock", blocking=False) as is_ours:
            if is_ours:
                self._new_data(self._folder / str(self._read_state().get("data", "0")))
            return is_ours

    def empty(self, purges: int) -> None:
        """Start anew in fresh files and delete the old ones: Chroma keeps what was deleted in its files."""
        old = self._folder / str(self._read_state().get("data", "0"))
        self._disconnect()
        self.purges = purges
        self._connect(self._new_data(old))

    def close(self, *, is_clean: bool = True) -> None:
        """Flush, note that the end was clean (if it was), give up ownership; safe to call twice."""
        if self.is_open:
            data = self._folder / str(self._read_state().get("data", "0"))
            self._disconnect()
            self._write_state(data, _fingerprint(data) if is_clean else None)
        self._stack.close()

    def _connect(self, data: Path) -> None:
        import chromadb
        from chromadb.config import Settings

        data.mkdir(parents=True, exist_ok=True)
        self._write_state(data, None)  # until close says otherwise, the end was not clean
        self._client = chromadb.PersistentClient(str(data), Settings(anonymized_telemetry=False))
        self._collection = self._client.get_or_create_collection(
            COLLECTION,
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "ef_search": 200}},
        )
        self._hashes = set(self._collection.get(include=[])["ids"])

    def _disconnect(self) -> None:
        if self._client is not None:
            with suppress(Exception):  # a broken client must not keep its owner from going on
                self._client.close()
        self._client = self._collection = None
        self._hashes = set()

    def _new_data(self, old: Path) -> Path:
        """A fresh data folder; Chroma caches a client by path, so a path is never used twice."""
        number = max([int(entry.name) for entry in self._folder.iterdir() if entry.name.isdigit()], default=0)
        new = self._folder / str(max(number, int(old.name)) + 1)
        new.mkdir()
        self._write_state(new, None)
        for entry in self._folder.iterdir():
            if entry.name.isdigit() and entry != new:
                shutil.rmtree(entry, ignore_errors=True)
        return new

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads((self._folder / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and str(state.get("data")).isdigit() else {}

    def _write_state(self, data: Path, files: dict[str, list[int]] | None) -> None:
        state = {"data": data.name, "embedder": self._embedder, "purges": self.purges, "files": files}
        write_atomic(self._folder / "state.json", json.dumps(state))


def _fingerprint(data: Path) -> dict[str, list[int]]:
    """Size and modification time of each file: what a clean end leaves, a crash or a damaged disk does not."""
    found = {}
    for path in sorted(data.rglob("*")):
        if path.is_file():
            status = path.stat()
            found[str(path.relative_to(data))] = [status.st_size, status.st_mtime_ns]
    return found


def _survives_probe(data: Path) -> bool:
    """True when a child process can open and search the index; costs about 1.5 s, so only after an unclean end."""
    here = str(Path(__file__).resolve().parent.parent)
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "memory.vector_index", str(data)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return child.returncode == 0


def _probe(data: str) -> None:
    """Open the index, read every id and search once with a stored vector; any damage ends this process."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(data, Settings(anonymized_telemetry=False))
    collection = client.get_collection(COLLECTION, embedding_function=None)
    stored = collection.get(include=["embeddings"])
    if stored["ids"]:
        found = collection.query(query_embeddings=[stored["embeddings"][0]], n_results=1, include=["distances"])
        if not found["ids"][0] or abs(found["distances"][0][0]) > 0.01:
            raise SystemExit(1)


if __name__ == "__main__":
    _probe(sys.argv[1])
