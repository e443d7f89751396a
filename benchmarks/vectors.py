"""The vector index at scale: opening, syncing nothing, searching by Chroma and exactly, recall@10, and memory.

.venv/bin/python benchmarks/vectors.py [COUNT] [--like-texts] [FOLDER]

Random unit vectors of 384 numbers in the vectors table of a real home, no texts. By default they are spread evenly over
the sphere, the hardest case for a graph index, which no text embeds to; ``--like-texts`` draws them around 2,000
centres, each with a cosine of about 0.8 to its own. FOLDER keeps the home for a second run, which skips the filling.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from common import bench_home, print_table, seconds

from memory import embedder
from memory.api import Memory
from memory.sources import bump

DIMENSIONS = 384
QUERIES = 200
WANTED = 60
"""So many a recall asks for."""


def make_vectors(count: int, *, like_texts: bool) -> np.ndarray:
    """Unit vectors, float32 [count, 384], the same ones each time."""
    chance = np.random.default_rng(1)
    vectors = chance.standard_normal((count, DIMENSIONS), np.float32)
    if like_texts:
        centres = chance.standard_normal((2000, DIMENSIONS), np.float32)
        vectors = centres[chance.integers(0, 2000, count)] + 0.75 * vectors
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def store_vectors(memory: Memory, vectors: np.ndarray) -> None:
    """Put them into SQLite as if they had been embedded."""
    with memory._store.transaction() as connection:
        rows = ((f"{number:064x}", embedder.NAME, vector.tobytes()) for number, vector in enumerate(vectors))
        connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", rows)
        bump(connection, "vector_generation")


def rss_mb(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


def percentiles(times_s: list[float]) -> str:
    ordered = sorted(times_s)
    return f"{1000 * statistics.median(ordered):.1f}, {1000 * ordered[int(0.95 * len(ordered))]:.1f} ms"


def main() -> None:
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    count = int(words[0]) if words else 100_000
    like_texts = "--like-texts" in sys.argv
    home = bench_home(words[1] if len(words) > 1 else "")
    vectors = make_vectors(count, like_texts=like_texts)
    chance = np.random.default_rng(2)
    queries = vectors[chance.integers(0, count, QUERIES)] + 0.03 * chance.standard_normal((QUERIES, DIMENSIONS))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    true = [set(np.argpartition(-(vectors @ query), 10)[:10].tolist()) for query in queries]
    memory = Memory(home)
    if memory.stats()["vectors"] < count:
        store_vectors(memory, vectors)
    del vectors
    embedder.prepare(home.models_dir)
    own = psutil.Process()
    base_mb = rss_mb(own)
    rows = []

    first_s = seconds(lambda: memory._vectors.nearest(queries[0], WANTED))
    exact_s, exact = [], []
    for query in queries[:50]:
        started = time.perf_counter()
        exact.append(memory._vectors.nearest(query, WANTED))
        exact_s.append(time.perf_counter() - started)
    hits = [len({int(key, 16) for key, _ in found[:10]} & best) for found, best in zip(exact, true, strict=False)]
    rows.append(("exact from SQLite: first search", f"{first_s:.2f} s", ""))
    rows.append(("exact: p50, p95", percentiles(exact_s), "30, 80 ms"))
    rows.append(("exact: recall@10", f"{sum(hits) / 10 / len(hits):.4f}", "1"))
    rows.append(("exact: memory it adds", f"{rss_mb(own) - base_mb:,.0f} MB", ""))

    filling_s = seconds(memory.warm)
    rows.append(("loading the embedder, filling Chroma unless it was full", f"{filling_s:.1f} s", ""))
    rows.append(("closing", f"{seconds(memory.close):.2f} s", ""))
    memory = Memory(home)
    vector_side = memory._vectors
    vector_side._is_wanted = True
    rows.append(("opening Chroma again, in step", f"{seconds(memory.keep_in_step):.2f} s", ""))
    rows.append(("a look whether it is still in step", f"{1000 * seconds(memory.keep_in_step):.2f} ms", ""))
    with memory._store.transaction() as connection:
        bump(connection, "vector_generation")
    rows.append(("syncing nothing", f"{seconds(memory.keep_in_step):.2f} s", ""))
    chroma_s, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(vector_side._search_index(query, WANTED) or [])
        chroma_s.append(time.perf_counter() - started)
    hits = [len({int(key, 16) for key, _ in one[:10]} & best) for one, best in zip(found, true, strict=True)]
    rows.append(("Chroma: p50, p95", percentiles(chroma_s), "30, 80 ms"))
    rows.append(("Chroma: recall@10", f"{sum(hits) / 10 / len(hits):.4f}", "0.99"))
    (child,) = own.children()
    rows.append(("memory of Chroma's process", f"{rss_mb(child):,.0f} MB", ""))
    memory.close()
    kind = "like those of texts" if like_texts else "evenly spread"
    print_table(f"{count:,} vectors of {DIMENSIONS}, {kind}; {QUERIES} queries for {WANTED}", rows)
    print(f"\nThe home is {Path(home.root)}")


if __name__ == "__main__":
    main()
