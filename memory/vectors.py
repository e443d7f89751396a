"""Vectors of chunks: made in the background, kept in SQLite, searched exactly or by Chroma, whichever is right.

Policy. A process that has warmed up and whose Chroma is in step with SQLite asks Chroma; in any other case the vectors
in SQLite are searched exactly: in ``molt recall``, while another process has Chroma, while it is being filled or made
anew, while its server is away. A question never waits for the index.
"""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from memory import embedder
from memory.errors import MemoryStoreError
from memory.exact import ExactSearch, load_vectors
from memory.home import Home
from memory.index_client import IndexClient, IndexLost
from memory.settings import read_settings
from memory.sources import bump
from memory.store import Store
from memory.values import IndexCheck, IngestProgress

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, Any]

FILL_BATCH = 64
SERVER_PAUSE_S = 30.0
"""A server that was away is asked again after so long: each try starts a process."""


class Vectors:
    """The vector side of one memory. Loads nothing until it is asked; safe from several threads. Errors: HomeError."""

    def __init__(self, home: Home, store: Store) -> None:
        self._home = home
        self._store = store
        self._settings = read_settings(home)
        self._loading = threading.Lock()
        self._encoder: embedder.OnnxEncoder | None = None
        self._refused = ""
        self._notice = ""
        self._name = self._key = embedder.NAME
        self._choose()
        self._exact = ExactSearch(store)
        self._index_lock = threading.RLock()
        self._index = self._new_index()
        self._is_wanted = False
        self._counters_in_step: tuple[int, int] | None = None
        self._not_before_s = 0.0
        self._closing = threading.Event()

    @property
    def embedder_name(self) -> str:
        """The key of the embedder in use, under which its vectors are kept."""
        return self._key

    def cosines(self, query: str, limit: int, also: Iterable[str] = ()) -> dict[str, float]:
        """Cosine by text hash of the ``limit`` nearest chunks and of those in ``also``; {} while nothing is prepared.

        Without an embedder words alone must do: a question never waits for its preparation. Cosines are in MiniLM's
        scale whatever the embedder, so that recall's weights hold for all.
        """
        if self._encoder is None and not embedder.is_prepared(self._home.models_dir, self._name):
            return {}
        if not self._has_any():
            return {}
        encoder = self._loaded()
        vector = encoder.encode_query(query)
        found = dict(self.nearest(vector, limit))
        others = [key for key in also if key not in found]
        for key, other in load_vectors(self._store, others, encoder.facts.key).items():
            found[key] = float(other @ vector)
        factor = (embedder.CEILING - embedder.FLOOR) / (encoder.facts.ceiling - encoder.facts.floor)
        return {key: embedder.FLOOR + (cosine - encoder.facts.floor) * factor for key, cosine in found.items()}

    def nearest(self, vector: "Floats", limit: int) -> list[tuple[str, float]]:
        """The nearest (text hash, cosine) to ``vector``, best first, by Chroma or exactly (see the policy above)."""
        found = self._search_index(vector, limit)
        if found is None:
            found = self._exact.search(vector, limit, self.embedder_name, self._counters()[0])
        return found

    def warm(self) -> None:
        """Prepare and load the embedder, open Chroma and bring it in step. Raises MemoryStoreError."""
        self._settle()
        self._loaded().encode_query("warm")
        self._is_wanted = True
        self._catch_up()

    def fill(self, on_progress: Callable[[IngestProgress], None] | None = None) -> int:
        """Embed chunks without a vector, each batch kept when it is done; then bring Chroma in step if it is ours.

        Another embedder in config.toml is taken up here; vectors of the one before go when the new ones are whole.
        """
        settings = read_settings(self._home)
        is_other = settings.embedder not in (self._name, self._refused) or settings.chroma != self._settings.chroma
        if is_other or self._missing(1):
            self._settle()
        missing = self._missing()
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
        self._drop_others()
        self.keep_in_step()
        return done

    def fill_if_loaded(self) -> None:
        """Embed what is new at once when that costs milliseconds; else leave it to the next ``fill``."""
        if self._encoder is not None and len(self._missing(FILL_BATCH + 1)) <= FILL_BATCH:
            self._embed(self._missing(FILL_BATCH))

    def keep_in_step(self) -> None:
        """In a process that warmed up: bring Chroma in step with SQLite where it is not; cheap where it is."""
        if self._is_wanted and not (self._index.is_open and self._counters() == self._counters_in_step):
            self._catch_up()

    def purge(self) -> None:
        """After a forgetting: no file of the index may hold what was removed, so its files are deleted at once.

        It is filled again by the next ``keep_in_step``. An index that another process has open is emptied by that
        process, which sees that the store's count of purges went up.
        """
        self._exact.clear()
        with self._only_me():
            self._counters_in_step = None
            if self._index.is_open or self._settings.chroma:
                try:
                    if self._index.open(self._counters()[1]):
                        self._index.empty(self._counters()[1])
                except (IndexLost, MemoryStoreError) as error:  # a derived index may fail, a forgetting may not
                    self._note_failure(error)
            if not self._index.is_open:
                self._index.discard()
            elif not self._is_wanted:
                self._index.close()

    def check(self) -> IndexCheck:
        """Open the index, mend it and bring it in step; for ``molt doctor``."""
        self._is_wanted = True
        self._not_before_s = 0.0
        self._catch_up()
        files = [path for path in self._home.chroma_dir.rglob("*") if path.is_file()]
        return IndexCheck(
            where=self._settings.chroma or str(self._home.chroma_dir),
            is_in_step=self._counters_in_step == self._counters() and self._index.is_open,
            was_made_anew=self._index.is_open and self._index.was_made_anew,
            size_bytes=sum(path.stat().st_size for path in files),
            embedder=self._name,
        )

    def take_notice(self) -> str:
        """What a person should know of the index or the embedder, told once; "" when there is nothing."""
        notice, self._notice = self._notice, ""
        return notice

    def close(self) -> None:
        """End the work of other threads between two batches and close Chroma; safe to call twice."""
        self._closing.set()
        with self._only_me():
            self._index.close()
        self._exact.clear()

    # -- the embedder --------------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        """The embedder of config.toml where it is prepared; until then the one before, at first MiniLM."""
        for name in (self._settings.embedder, self._store.meta("embedder") or embedder.NAME):
            if facts := embedder.read_facts(self._home.models_dir, name):
                self._name, self._key = name, facts.key
                return

    def _settle(self) -> None:
        """Prepare the embedder of config.toml and go over to it; where that fails, say so and keep the one before."""
        settings = read_settings(self._home)
        if settings.chroma != self._settings.chroma:
            self._settings = settings
            self._renew_index()
        self._settings = settings
        wanted = settings.embedder
        if wanted not in (self._name, self._refused):
            try:
                embedder.prepare(self._home.models_dir, wanted)
            except MemoryStoreError as error:
                self._refused = wanted
                self._notice = f"{error}; {self._name} goes on: set [memory] embedder in config.toml to another"
            else:
                with self._loading:
                    self._encoder = embedder.load(self._home.models_dir, wanted)
                    self._name, self._key = wanted, self._encoder.facts.key
                self._refused = ""
                self._renew_index()
        embedder.prepare(self._home.models_dir, self._name)
        if self._store.meta("embedder") != self._name:
            self._store.set_meta("embedder", self._name)

    def _loaded(self) -> embedder.OnnxEncoder:
        with self._loading:
            if self._encoder is None:
                self._encoder = embedder.load(self._home.models_dir, self._name)
            return self._encoder

    def _embed(self, rows: Sequence[sqlite3.Row]) -> None:
        encoder = self._loaded()
        vectors = encoder.encode([row["search_text"] for row in rows])
        with self._store.transaction() as connection:
            connection.executemany(
                # A chunk may have been forgotten while its vector was made: then the vector must not stay.
                "INSERT OR IGNORE INTO vectors SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM chunks WHERE text_hash = ?)",
                [
                    (row["text_hash"], encoder.facts.key, vector.tobytes(), row["text_hash"])
                    for row, vector in zip(rows, vectors, strict=True)
                ],
            )
            bump(connection, "vector_generation")

    def _missing(self, limit: int = -1) -> list[sqlite3.Row]:
        with self._store.locked() as connection:
            return connection.execute(
                "SELECT text_hash, search_text FROM chunks WHERE text_hash NOT IN"
                " (SELECT text_hash FROM vectors WHERE embedder = ?)"
                " GROUP BY text_hash ORDER BY max(number) DESC LIMIT ?",
                (self.embedder_name, limit),
            ).fetchall()

    def _drop_others(self) -> None:
        """Vectors of another embedder go once each chunk has one of this."""
        with self._store.transaction() as connection:
            if connection.execute("DELETE FROM vectors WHERE embedder != ?", (self.embedder_name,)).rowcount:
                bump(connection, "vector_generation")

    def _has_any(self) -> bool:
        with self._store.locked() as connection:
            query = "SELECT 1 FROM vectors WHERE embedder = ? LIMIT 1"
            return connection.execute(query, (self.embedder_name,)).fetchone() is not None

    # -- the index -----------------------------------------------------------------------------------------------------

    def _new_index(self) -> IndexClient:
        name = f"molting-{hashlib.sha256(self._store.meta('digest_key').encode()).hexdigest()[:16]}"
        server = self._settings.chroma
        return IndexClient(self._home.chroma_dir, self._store.path, self.embedder_name, server=server, name=name)

    def _renew_index(self) -> None:
        self._exact.clear()
        with self._only_me():
            self._index.close()
            self._index = self._new_index()
            self._counters_in_step = None
            self._not_before_s = 0.0

    def _only_me(self) -> "_Alone":
        return _Alone(self._index_lock, self._index)

    def _search_index(self, vector: "Floats", limit: int) -> list[tuple[str, float]] | None:
        """Search Chroma; None when the exact search is to answer."""
        if not self._index_lock.acquire(blocking=False):
            return None
        try:
            if not self._index.is_open or self._counters() != self._counters_in_step:
                return None
            return self._index.search(vector, limit)
        except (IndexLost, MemoryStoreError) as error:
            self._note_failure(error)
            return None
        finally:
            self._index_lock.release()

    def _catch_up(self) -> None:
        """Bring Chroma in step, however long it takes; while it cannot be done the exact search answers."""
        with self._index_lock:
            if self._closing.is_set() or time.monotonic() < self._not_before_s:
                return
            counters = self._counters()
            try:
                if self._index.open(counters[1]) and self._index.step(counters[1]):
                    self._counters_in_step = counters
                    self._not_before_s = 0.0
            except (IndexLost, MemoryStoreError) as error:
                self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        self._counters_in_step = None
        if self._settings.chroma:
            if not self._not_before_s:
                self._notice = str(error)
            self._not_before_s = time.monotonic() + SERVER_PAUSE_S

    def _counters(self) -> tuple[int, int]:
        """(changes of the set of vectors, purges) as the store counts them."""
        with self._store.locked() as connection:
            values = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        return int(values["vector_generation"]), int(values["purges"])


class _Alone:
    """The index for this thread alone: a long step of another thread is ended first."""

    def __init__(self, lock: Any, index: IndexClient) -> None:
        self._lock = lock
        self._index = index

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._index.interrupt()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
