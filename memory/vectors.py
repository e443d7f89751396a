"""Vectors of chunks: made in the background, kept in SQLite, searched exactly or by Chroma, whichever is right.

Policy. A process that has opened Chroma (``warm``) searches it. Any other, such as ``molt recall``, searches the
vectors in SQLite exactly up to EXACT_LIMIT of them and opens Chroma above. Measured on two cores: importing chromadb
0.8 s; first exact search, read from SQLite, 0.3 s over 20,000 vectors and 1.1 s over 100,000, any further 4 and 19 ms.
While another thread or process has Chroma, the search is exact.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from memory import embedder
from memory.errors import MemoryStoreError
from memory.home import Home
from memory.sources import bump
from memory.store import Store, in_parts, marks
from memory.values import IngestProgress
from memory.vector_index import VectorIndex

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, Any]

EXACT_LIMIT = 50_000
FILL_BATCH = 64
MAX_CATCH_UP = 500
"""A question waits for at most so many changes of the index (about 50 ms); more are left to ``fill`` and ``warm``."""


class Vectors:
    """The vector side of one memory. Loads nothing until it is asked; safe from several threads."""

    embedder_name = embedder.NAME

    def __init__(self, home: Home, store: Store) -> None:
        self._home = home
        self._store = store
        self._loading = threading.Lock()
        self._encoder: embedder.OnnxEncoder | None = None
        self._index_lock = threading.RLock()
        self._index = VectorIndex(home.chroma_dir, embedder.NAME)
        self._index_counters: tuple[int, int] | None = None
        self._index_failed = False
        self._exact: tuple[int, list[str], Any] | None = None
        self._closing = threading.Event()

    def cosines(self, query: str, limit: int, also: Iterable[str] = ()) -> dict[str, float]:
        """Cosine by text hash of the ``limit`` nearest chunks and of those in ``also``; {} while nothing is prepared.

        Without an embedder words alone must do: a question never waits for its preparation.
        """
        if self._encoder is None and not embedder.is_prepared(self._home.models_dir):
            return {}
        count = self._count()
        if not count:
            return {}
        vector = self._loaded().encode([query])[0]
        nearest = self._search_index(vector, limit, count)
        found = dict(self._search_exact(vector, limit) if nearest is None else nearest)
        others = [key for key in also if key not in found]
        for key, other in self._load(others).items():
            found[key] = float(other @ vector)
        return found

    def warm(self) -> None:
        """Prepare and load the embedder, open Chroma and bring it in step. Raises MemoryStoreError."""
        embedder.prepare(self._home.models_dir)
        self._loaded().encode(["warm"])
        self._catch_up()

    def fill(self, on_progress: Callable[[IngestProgress], None] | None = None) -> int:
        """Embed chunks without a vector, each batch kept when it is done; then bring Chroma in step if it is ours."""
        missing = self._missing()
        if missing:
            embedder.prepare(self._home.models_dir)
        done = 0
        for start in range(0, len(missing), FILL_BATCH):
            if self._closing.is_set():
                return done
            if on_progress:
                on_progress(IngestProgress("embedding", start, len(missing)))
            self._embed(missing[start : start + FILL_BATCH])
            done = min(start + FILL_BATCH, len(missing))
        if on_progress and missing:
            on_progress(IngestProgress("embedding", len(missing), len(missing)))
        if self._index.is_open:
            self._catch_up()
        return done

    def fill_if_loaded(self) -> None:
        """Embed what is new at once when that costs milliseconds; else leave it to the next ``fill``."""
        if self._encoder is not None and len(self._missing()) <= FILL_BATCH:
            self.fill()

    def purge(self) -> None:
        """After a forgetting: no file of the index may hold what was removed, so its files are deleted at once.

        A small index is filled again by the next question, a large one by ``fill`` or ``warm``. An index that another
        process has open is emptied by that process, which sees that the store's count of purges went up.
        """
        with self._index_lock:
            self._exact = None
            if self._index.is_open:
                try:
                    self._index.empty(self._counters()[1])
                except Exception:  # a derived index may fail, a forgetting may not
                    self._give_up_index()
            if not self._index.is_open:
                self._index.discard()

    def close(self) -> None:
        """End the work of other threads between two batches and close Chroma; safe to call twice."""
        self._closing.set()
        with self._index_lock:
            self._index.close()
            self._exact = None

    def _loaded(self) -> embedder.OnnxEncoder:
        with self._loading:
            if self._encoder is None:
                self._encoder = embedder.load(self._home.models_dir)
            return self._encoder

    def _embed(self, rows: Sequence[sqlite3.Row]) -> None:
        vectors = self._loaded().encode([row["search_text"] for row in rows])
        with self._store.transaction() as connection:
            connection.executemany(
                # A chunk may have been forgotten while its vector was made: then the vector must not stay.
                "INSERT OR IGNORE INTO vectors SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM chunks WHERE text_hash = ?)",
                [
                    (row["text_hash"], embedder.NAME, vector.tobytes(), row["text_hash"])
                    for row, vector in zip(rows, vectors, strict=True)
                ],
            )
            bump(connection, "vector_generation")

    def _search_index(self, vector: "Floats", limit: int, count: int) -> list[tuple[str, float]] | None:
        """Search Chroma; None when the exact search is to answer (see the policy above)."""
        if not self._index_lock.acquire(blocking=False):
            return None
        try:
            if not self._index.is_open and count <= EXACT_LIMIT:
                return None
            return self._index.search(vector, limit) if self._open_in_step(MAX_CATCH_UP) else None
        except Exception:  # Chroma's Rust core raises several kinds; the exact search answers instead
            self._give_up_index()
            return None
        finally:
            self._index_lock.release()

    def _catch_up(self) -> None:
        """Bring Chroma in step, however long it takes; what it cannot do the exact search does."""
        with self._index_lock:
            try:
                self._open_in_step(None)
            except Exception:  # as above: nothing that is derived may stop what is not
                self._give_up_index()

    def _give_up_index(self) -> None:
        """Use Chroma no more in this process; the next one finds an unclean end, probes it and makes it anew."""
        self._index_failed = True
        self._index.close(is_clean=False)

    def _open_in_step(self, most_changes: int | None) -> bool:
        """Open Chroma if it is free and make it hold what SQLite holds; True when it can be searched."""
        counters = self._counters()
        if self._index_failed or not self._index.open(counters[1]):
            return False
        if counters[1] != self._index.purges:
            self._index.empty(counters[1])
        elif counters == self._index_counters:
            return True
        wanted = self._hashes()
        if most_changes is not None and self._index.distance_from(wanted) > most_changes:
            return False
        if not self._index.sync(wanted, self._matrix, self._closing.is_set):
            return False
        self._index_counters = counters
        return True

    def _search_exact(self, vector: "Floats", limit: int) -> list[tuple[str, float]]:
        import numpy as np

        generation = self._counters()[0]
        cached = self._exact
        if cached is None or cached[0] != generation:
            with self._store.locked() as connection:
                rows = connection.execute(
                    "SELECT text_hash, vector FROM vectors WHERE embedder = ?", (embedder.NAME,)
                ).fetchall()
            matrix = np.frombuffer(b"".join(row["vector"] for row in rows), np.float32).reshape(len(rows), -1)
            cached = self._exact = (generation, [row["text_hash"] for row in rows], matrix)
        _, hashes, matrix = cached
        if not hashes:
            return []
        cosines = matrix @ vector
        best = np.argpartition(-cosines, min(limit, len(hashes)) - 1)[:limit]
        return [(hashes[i], float(cosines[i])) for i in best]

    def _load(self, hashes: Sequence[str]) -> dict[str, "Floats"]:
        """Vectors by text hash, from SQLite; those without one are absent."""
        import numpy as np

        found: dict[str, Floats] = {}
        with self._store.locked() as connection:
            for part in in_parts(hashes):
                rows = connection.execute(
                    "SELECT text_hash, vector FROM vectors"  # noqa: S608 - only marks are put in
                    f" WHERE embedder = ? AND text_hash IN ({marks(part)})",
                    (embedder.NAME, *part),
                )
                found.update((row["text_hash"], np.frombuffer(row["vector"], np.float32)) for row in rows)
        return found

    def _matrix(self, hashes: Sequence[str]) -> "Floats":
        """Vectors [n, d] of these text hashes. Raises MemoryStoreError when one went meanwhile."""
        import numpy as np

        found = self._load(hashes)
        if len(found) < len(hashes):
            raise MemoryStoreError("the memory changed while its index was made; try again")
        return np.stack([found[key] for key in hashes])

    def _missing(self) -> list[sqlite3.Row]:
        with self._store.locked() as connection:
            return connection.execute(
                "SELECT text_hash, search_text FROM chunks WHERE text_hash NOT IN"
                " (SELECT text_hash FROM vectors WHERE embedder = ?) GROUP BY text_hash ORDER BY max(number) DESC",
                (embedder.NAME,),
            ).fetchall()

    def _hashes(self) -> set[str]:
        with self._store.locked() as connection:
            rows = connection.execute("SELECT text_hash FROM vectors WHERE embedder = ?", (embedder.NAME,))
            return {row["text_hash"] for row in rows}

    def _count(self) -> int:
        with self._store.locked() as connection:
            query = "SELECT count(*) FROM vectors WHERE embedder = ?"
            return int(connection.execute(query, (embedder.NAME,)).fetchone()[0])

    def _counters(self) -> tuple[int, int]:
        """(changes of the set of vectors, purges) as the store counts them."""
        with self._store.locked() as connection:
            values = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        return int(values["vector_generation"]), int(values["purges"])
