"""Child process: owns Chroma, keeps it in step with SQLite, and searches it for the process that started it.

Run by ``memory.index_client`` as ``python -m memory.index_worker``. One JSON object a line, in and out; the first line
in says what to open. When its input ends it closes Chroma and ends too, however its parent died.

    {"do": "step", "purges": 0}                         -> {"in_step": true, "vectors": 941}
    {"do": "search", "vector": BASE64, "limit": 60}     -> {"found": [[text hash, cosine], ...]}
    {"do": "empty", "purges": 1}                        -> {}
    {"do": "end"}                                       ends a step between two batches, and the process
    anything that fails                                 -> {"error": one line}
"""

import base64
import json
import os
import select
import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import MemoryStoreError
from memory.store import in_parts, marks
from memory.vector_index import FolderIndex, ServerIndex, VectorIndex

if TYPE_CHECKING:
    import numpy as np


class Worker:
    """One index and the database it is made from, which is only read."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._db_file = Path(order["db"])
        self._embedder = order["embedder"]
        self.index: VectorIndex
        if order["server"]:
            self.index = ServerIndex(order["server"], order["name"], self._embedder)
            self.is_open = self.index.open(order["purges"])
            self.is_fresh = False
        else:
            folder = FolderIndex(Path(order["folder"]), self._embedder)
            self.index = folder
            self.is_open = folder.open(order["purges"], anew=order["anew"])
            self.is_fresh = folder.is_fresh

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; errors: MemoryStoreError, SQLite's, and whatever Chroma raises."""
        match request["do"]:
            case "step":
                return self._step(request["purges"])
            case "search":
                import numpy as np

                vector = np.frombuffer(base64.b64decode(request["vector"]), np.float32)
                return {"found": self.index.search(vector, request["limit"])}
            case "empty":
                self.index.empty(request["purges"])
                return {}
        raise ValueError(f"unknown request {request['do']!r}")

    def _step(self, purges: int) -> dict[str, Any]:
        if purges != self.index.purges:
            self.index.empty(purges)
        with closing(sqlite3.connect(f"{self._db_file.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            query = "SELECT text_hash FROM vectors WHERE embedder = ?"
            wanted = {row[0] for row in database.execute(query, (self._embedder,))}

            def load(hashes: Sequence[str]) -> "np.ndarray[Any, Any]":
                return self._vectors(database, hashes)

            in_step = self.index.sync(wanted, load, _is_asked)
        return {"in_step": in_step, "vectors": len(self.index)}

    def _vectors(self, database: sqlite3.Connection, hashes: Sequence[str]) -> "np.ndarray[Any, Any]":
        import numpy as np

        found: dict[str, np.ndarray[Any, Any]] = {}
        for part in in_parts(hashes):
            rows = database.execute(
                f"SELECT text_hash, vector FROM vectors WHERE embedder = ? AND text_hash IN ({marks(part)})",  # noqa: S608 - only marks are put in
                (self._embedder, *part),
            )
            found.update((key, np.frombuffer(vector, np.float32)) for key, vector in rows)
        if len(found) < len(hashes):
            raise MemoryStoreError("the memory changed while its index was made; it is tried again")
        return np.stack([found[key] for key in hashes])


def _is_asked() -> bool:
    """Whether something waits on the input, be it a question or its end: then a long sync stops."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> None:
    """Answer until the input ends; what the libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    worker = None
    try:
        worker = Worker(json.loads(_line()))
        tell({"open": worker.is_open, "fresh": worker.is_fresh})
        while worker.is_open and (line := _line()):
            request = json.loads(line)
            if request["do"] == "end":
                break
            try:
                tell(worker.answer(request))
            except (MemoryStoreError, sqlite3.Error) as error:
                tell({"error": str(error)})
    except MemoryStoreError as error:
        tell({"error": str(error)})
    except BrokenPipeError:
        pass  # nobody is left to hear the answer
    finally:
        if worker is not None:
            worker.index.close()


def _line() -> bytes:
    """The next line of the input; b"" at its end. Unbuffered: what Python has read already is hidden from select."""
    parts = bytearray()
    while not parts.endswith(b"\n"):
        piece = os.read(0, 65_536)
        if not piece:
            return b""
        parts += piece
    return bytes(parts)


if __name__ == "__main__":
    main()
