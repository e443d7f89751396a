"""Chroma, the derived vector index: made from SQLite, in a folder or on a server, made anew whenever it disagrees.

It holds vectors under the hash of their text and no text at all, so nothing readable is left in its files. It is opened
in a child process alone (``memory.index_worker``): a damaged file can kill whoever opens it, a large index needs much
memory, and importing chromadb takes more than a second. A folder belongs to one process at a time.
"""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memory.errors import MemoryStoreError
from memory.files import file_lock, write_atomic

if TYPE_CHECKING:
    import numpy as np

COLLECTION = "memories"
BATCH = 1024
SPACE = {"hnsw": {"space": "cosine", "max_neighbors": 32, "ef_construction": 200, "ef_search": 1000}}
"""Of 8,000 vectors spread evenly, the hardest case, the ten nearest are all found (with Chroma's 16, 100 and a search
of 200: 86 %), at 6 ms a search beside other work; building takes 1.7 times as long."""
LOCK_FILE = ".lock"
LoadVectors = Callable[[Sequence[str]], "np.ndarray[Any, Any]"]


class VectorIndex(ABC):
    """One Chroma collection; every method but ``open`` and ``close`` needs it open."""

    def __init__(self, embedder: str) -> None:
        self._embedder = embedder
        self._client: Any = None
        self._collection: Any = None
        self._hashes: set[str] = set()
        self.purges = -1

    @property
    def is_open(self) -> bool:
        return self._collection is not None

    def __len__(self) -> int:
        return len(self._hashes)

    @abstractmethod
    def open(self, purges: int) -> bool:
        """Open; False when another process has it. ``purges``: the store's count of forgettings.

        An index from before the last forgetting, or of another embedder, is not used but made anew.
        """

    @abstractmethod
    def empty(self, purges: int) -> None:
        """Start anew, with nothing left of what was in it."""

    def close(self) -> None:
        """Give it up; safe to call twice."""
        self._disconnect()

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

    def _disconnect(self) -> None:
        if self._client is not None:
            with suppress(Exception):  # a broken client must not keep its owner from going on
                self._client.close()
        self._client = self._collection = None
        self._hashes = set()


class FolderIndex(VectorIndex):
    """A collection in ``folder``, owned by one process."""

    def __init__(self, folder: Path, embedder: str) -> None:
        super().__init__(embedder)
        self._folder = folder
        self._stack = ExitStack()
        self.is_fresh = False

    def open(self, purges: int, *, anew: bool = False) -> bool:
        """Take ownership and open; ``is_fresh`` says whether it had to be made anew, and ``anew`` has it so.

        Files that are not what the last clean state left are not opened at all: even where they can be read, a flipped
        bit in them would make searches miss.
        """
        if self.is_open:
            return True
        if not self._stack.enter_context(file_lock(self._folder / LOCK_FILE, blocking=False)):
            self._stack.close()
            return False
        state = self._read_state()
        self.purges = purges
        data = self._folder / str(state.get("data", "0"))
        is_current = (state.get("embedder"), state.get("purges")) == (self._embedder, purges)
        self.is_fresh = anew or not is_current or not data.exists() or state.get("files") != _fingerprint(data)
        if self.is_fresh:
            data = self._new_data(data)
        try:
            self._connect(data)
        except Exception:  # chromadb raises errors of its Rust core, of SQLite and of its own for damaged files
            self._disconnect()
            self.is_fresh = True
            self._connect(self._new_data(data))
        return True

    def sync(self, wanted: set[str], load: LoadVectors, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """As above; notes what the files look like when they are in step, so that they can be trusted later."""
        data = self._data()
        if self._hashes != wanted:
            self._write_state(data, None)
        is_done = super().sync(wanted, load, should_stop)
        self._write_state(data, _fingerprint(data))
        return is_done

    def discard(self) -> bool:
        """Delete the files of an index that nobody has open; False when another process has it."""
        if not self._folder.exists():
            return True
        with file_lock(self._folder / LOCK_FILE, blocking=False) as is_ours:
            if is_ours:
                self._new_data(self._data())
            return is_ours

    def empty(self, purges: int) -> None:
        """Start anew in fresh files and delete the old ones: Chroma keeps what was deleted in its files."""
        old = self._data()
        self._disconnect()
        self.purges = purges
        self._connect(self._new_data(old))

    def close(self) -> None:
        """Flush, note what a clean end leaves, give up ownership; safe to call twice."""
        if self.is_open:
            data = self._data()
            self._disconnect()
            self._write_state(data, _fingerprint(data))
        self._stack.close()

    def _connect(self, data: Path) -> None:
        import chromadb
        from chromadb.config import Settings

        self._client = chromadb.PersistentClient(str(data), Settings(anonymized_telemetry=False))
        self._collection = self._client.get_or_create_collection(
            COLLECTION, embedding_function=None, configuration=SPACE
        )
        self._hashes = set(self._collection.get(include=[])["ids"])

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

    def _data(self) -> Path:
        return self._folder / str(self._read_state().get("data", "0"))

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads((self._folder / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and str(state.get("data")).isdigit() else {}

    def _write_state(self, data: Path, files: dict[str, list[int]] | None) -> None:
        state = {"data": data.name, "embedder": self._embedder, "purges": self.purges, "files": files}
        write_atomic(self._folder / "state.json", json.dumps(state))


class ServerIndex(VectorIndex):
    """A collection on a Chroma server (``chroma run``), for more than one machine; ``name`` is this memory's own.

    Everything that fails is a MemoryStoreError in one line: the server may be away at any time.
    """

    def __init__(self, address: str, name: str, embedder: str) -> None:
        super().__init__(embedder)
        self._address = address
        self._name = name

    def open(self, purges: int) -> bool:
        """Connect; the collection says by its metadata of which embedder and of how many forgettings it is."""
        if self.is_open:
            return True
        with self._told():
            import chromadb
            from chromadb.config import Settings

            parts = urlsplit(self._address)
            is_https = parts.scheme == "https"
            self._client = chromadb.HttpClient(
                str(parts.hostname),
                parts.port or (443 if is_https else 8000),
                ssl=is_https,
                settings=Settings(anonymized_telemetry=False),
            )
            self._join(purges)
            found = self._collection.metadata or {}
            if (found.get("embedder"), found.get("purges")) != (self._embedder, purges):
                self.empty(purges)
            self._hashes = set(self._collection.get(include=[])["ids"])
        return True

    def sync(self, wanted: set[str], load: LoadVectors, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """As above, after a look at what is there: another process may have written since."""
        with self._told():
            self._hashes = set(self._collection.get(include=[])["ids"])
            return super().sync(wanted, load, should_stop)

    def search(self, vector: "np.ndarray[Any, Any]", limit: int) -> list[tuple[str, float]]:
        with self._told():
            return super().search(vector, limit)

    def empty(self, purges: int) -> None:
        """Delete the collection and make it anew."""
        with self._told():
            self._client.delete_collection(self._name)
            self._hashes = set()
            self._join(purges)

    def _join(self, purges: int) -> None:
        self.purges = purges
        self._collection = self._client.get_or_create_collection(
            self._name,
            embedding_function=None,
            configuration=SPACE,
            metadata={"embedder": self._embedder, "purges": purges},
        )

    def _told(self) -> "_Told":
        return _Told(self._address)


class _Told:
    """Whatever fails inside leaves as one line about the server; ``chromadb`` and ``httpx`` raise a dozen kinds."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, MemoryStoreError) or not isinstance(error, Exception):
            return
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise MemoryStoreError(
            f"the Chroma server {self._address} does not answer ({reason}); vectors are searched in SQLite meanwhile;"
            " start it, or take [memory] chroma out of config.toml"
        ) from error


def _fingerprint(data: Path) -> dict[str, list[int]]:
    """Size and modification time of each file: what a clean end leaves, a crash or a damaged disk does not."""
    found = {}
    for path in sorted(data.rglob("*")):
        if path.is_file():
            status = path.stat()
            found[str(path.relative_to(data))] = [status.st_size, status.st_mtime_ns]
    return found
