"""Exact search over the vectors in SQLite: one byte a number in memory, and the best of them compared in full.

100,000 vectors of 384 numbers take 38 MB so, where floats would take 150. A rounded cosine is off by less than 0.002,
so that the nearest are found among twice as many candidates.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from memory.store import Store, in_parts, marks

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, Any]

BLOCK = 2048
CANDIDATES_EACH = 2
LEAST_CANDIDATES = 100


class ExactSearch:
    """The vectors of one embedder, rounded; follows the store by what came and went. Safe from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Drop what is in memory: after a forgetting, and for another embedder."""
        with self._lock:
            self._state: tuple[str, int] | None = None
            self._keys: list[str] = []
            self._codes: Any = None
            self._scales: Any = None

    def search(self, vector: "Floats", limit: int, embedder: str, generation: int) -> list[tuple[str, float]]:
        """The nearest (text hash, cosine), best first; ``generation`` is the store's count of changes."""
        import numpy as np

        with self._lock:
            if self._state != (embedder, generation):
                self._follow(embedder)
                self._state = (embedder, generation)
            keys, codes, scales = self._keys, self._codes, self._scales
        if not keys:
            return []
        rough = np.empty(len(keys), np.float32)
        for start in range(0, len(keys), BLOCK):
            rough[start : start + BLOCK] = codes[start : start + BLOCK].astype(np.float32) @ vector
        rough *= scales
        count = min(len(keys), max(limit * CANDIDATES_EACH, LEAST_CANDIDATES))
        best = [keys[i] for i in np.argpartition(-rough, count - 1)[:count]]
        found = [(key, float(other @ vector)) for key, other in load_vectors(self._store, best, embedder).items()]
        return sorted(found, key=lambda item: (-item[1], item[0]))[:limit]

    def _follow(self, embedder: str) -> None:
        import numpy as np

        wanted = hashes_of(self._store, embedder)
        if self._state is None or self._state[0] != embedder:
            self._keys = []
        kept = [i for i, key in enumerate(self._keys) if key in wanted]
        new = sorted(wanted.difference(self._keys))
        codes = [self._codes[kept]] if kept else []
        scales = [self._scales[kept]] if kept else []
        keys = [self._keys[i] for i in kept]
        for page in _pages(new):
            found = load_vectors(self._store, page, embedder)  # what was forgotten meanwhile is absent
            if found:
                matrix = np.stack(list(found.values()))
                largest = np.abs(matrix).max(axis=1, keepdims=True).clip(1e-9)
                codes.append(np.round(matrix * (127 / largest)).astype(np.int8))
                scales.append((largest[:, 0] / 127).astype(np.float32))
                keys += found
        self._keys = keys
        self._codes = np.concatenate(codes) if codes else None
        self._scales = np.concatenate(scales) if scales else None


def hashes_of(store: Store, embedder: str) -> set[str]:
    """The text hashes that have a vector of this embedder."""
    with store.locked() as connection:
        return {row[0] for row in connection.execute("SELECT text_hash FROM vectors WHERE embedder = ?", (embedder,))}


def load_vectors(store: Store, hashes: Sequence[str], embedder: str) -> "dict[str, Floats]":
    """Vectors, float32 [d] each, by text hash; those without one are absent."""
    import numpy as np

    found: dict[str, Floats] = {}
    for part in in_parts(hashes):
        with store.locked() as connection:
            rows = connection.execute(
                f"SELECT text_hash, vector FROM vectors WHERE embedder = ? AND text_hash IN ({marks(part)})",  # noqa: S608 - only marks are put in
                (embedder, *part),
            ).fetchall()
        found.update((row[0], np.frombuffer(row[1], np.float32)) for row in rows)
    return found


def _pages(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), BLOCK):
        yield keys[start : start + BLOCK]
