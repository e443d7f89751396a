"""The vector index as the rest of the memory sees it: a child process that owns Chroma, replaced when it dies."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import MemoryStoreError
from memory.files import file_lock
from memory.vector_index import LOCK_FILE, FolderIndex

if TYPE_CHECKING:
    import numpy as np

CLOSE_TIMEOUT_S = 3
TRIES = 2


class IndexLost(Exception):  # noqa: N818 - no error that a person sees: SQLite answers instead
    """The child process died; the index is made anew by the next one."""


class IndexClient:
    """One index; not safe from several threads. Errors: IndexLost, MemoryStoreError (a server that is away).

    ``server`` and ``name``: the address of a Chroma server and the name of the collection there; "" for ``folder``.
    """

    def __init__(self, folder: Path, db_file: Path, embedder: str, *, server: str = "", name: str = "") -> None:
        self._folder = folder
        self._order = {"folder": str(folder), "db": str(db_file), "embedder": embedder, "server": server, "name": name}
        self._child: subprocess.Popen[bytes] | None = None
        self._is_ending = False
        self._was_lost = False
        self._deaths = 0
        self.was_made_anew = False
        """Whether the index that is open had to be made from nothing: it was damaged, missing or of another kind."""

    @property
    def is_open(self) -> bool:
        return self._child is not None

    def open(self, purges: int) -> bool:
        """Start the child; False while another process owns the folder. A damaged index is made anew, no error."""
        for _ in range(TRIES):
            if self._child is not None:
                return True
            if self._deaths > TRIES or not self._is_free():
                return False
            with suppress(IndexLost):
                self._start(purges)
        return self._child is not None

    def step(self, purges: int) -> bool:
        """Bring it in step with SQLite, however long that takes; False when ``close`` came meanwhile."""
        is_in_step = bool(self._ask({"do": "step", "purges": purges})["in_step"])
        if not is_in_step:
            self.close()
        return is_in_step

    def search(self, vector: "np.ndarray[Any, Any]", limit: int) -> list[tuple[str, float]]:
        """The nearest (text hash, cosine), best first."""
        text = base64.b64encode(vector.tobytes()).decode()
        return [(key, cosine) for key, cosine in self._ask({"do": "search", "vector": text, "limit": limit})["found"]]

    def empty(self, purges: int) -> None:
        """Start anew in fresh files and delete the old ones: Chroma keeps what was deleted in its files."""
        self._ask({"do": "empty", "purges": purges})

    def discard(self) -> bool:
        """Delete the files of an index that nobody has open; False when another process has it."""
        return FolderIndex(self._folder, self._order["embedder"]).discard()

    def close(self) -> None:
        """End the child, which closes Chroma by itself; one that takes longer is not waited for."""
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(OSError):  # it may have died before it read all
            child.stdin.close()  # type: ignore[union-attr]
        with suppress(subprocess.TimeoutExpired):
            child.wait(CLOSE_TIMEOUT_S)
        child.stdout.close()  # type: ignore[union-attr]

    def interrupt(self) -> None:
        """Any thread: have a long ``step`` end between two batches, and the child with it."""
        child = self._child
        if child is not None:
            self._is_ending = True
            with suppress(OSError):
                child.stdin.write(b'{"do": "end"}\n')  # type: ignore[union-attr]
                child.stdin.flush()  # type: ignore[union-attr]

    def _is_free(self) -> bool:
        if self._order["server"]:
            return True
        with file_lock(self._folder / LOCK_FILE, blocking=False) as is_free:
            return is_free

    def _start(self, purges: int) -> None:
        here = str(Path(__file__).resolve().parent.parent)
        paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._is_ending = False
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "memory.index_worker"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a closed terminal ends the app; the child then closes Chroma in its own time
        )
        answer = self._ask({**self._order, "purges": purges, "anew": self._was_lost})
        self.was_made_anew = bool(answer["fresh"])
        self._was_lost = False
        if not answer["open"]:  # another process was faster
            self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        child = self._child
        if child is None:
            raise IndexLost
        with self._losses():
            child.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            answer: dict[str, Any] = json.loads(child.stdout.readline())  # type: ignore[union-attr]
        if "error" in answer:
            if self._order["server"]:
                self.close()
            raise MemoryStoreError(answer["error"])
        return answer

    @contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # a broken pipe, an end in the middle of a line, a file closed by another thread
            if not self._is_ending:
                self._was_lost = True
                self._deaths += 1
            self.close()
            raise IndexLost from None
