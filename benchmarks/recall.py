"""Recall in a large memory: the whole question, the exact vectors, unchanged input, one edited line, and processes.

.venv/bin/python benchmarks/recall.py HOME LOGS LOCOMO [--count N] [--embed N] [--chroma]

HOME is made once, with the embedder prepared, and serves later runs. LOGS is a folder of Claude Code logs, which are
ingested as they are. LOCOMO is LoCoMo's file; its questions are asked. Both are repeated with a sixth of their words
drawn from elsewhere until there are N chunks (100,000). The first ``--embed`` different texts (2,000) are embedded; the
vectors of all others are those of one of them, turned by about 30 degrees, since embedding all would take an hour.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from common import print_table, seconds

from memory import embedder
from memory.api import Memory
from memory.chunk import Chunk, chunk_transcript
from memory.evaluate.locomo import read_locomo
from memory.home import Home
from memory.sources import SourceFile, bump, put_conversation, put_source
from memory.transcripts.model import Transcript

QUERIES = 200
CHANGED_SHARE = 1 / 6
TURN = 0.58
"""Length of the noise beside a vector of length 1: a cosine of 0.865, as between texts that share five words of six."""
ENTRIES = 400
"""Lines of MEMORY.md, one of which is edited."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("logs", type=Path)
    parser.add_argument("locomo", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--embed", type=int, default=2000)
    parser.add_argument("--chroma", action="store_true", help="Fill Chroma too and ask it; takes minutes.")
    parser.add_argument("--only-make", action="store_true", help="Make the home and measure nothing.")
    options = parser.parse_args()
    if options.only_make:
        make(Home(options.home), options)
        return
    # In a process of its own, so that what making takes is not counted as the chat's memory.
    subprocess.run([sys.executable, *sys.argv, "--only-make"], check=True)
    measure(Home(options.home), options)


# -- making it ---------------------------------------------------------------------------------------------------------


def make(home: Home, options: argparse.Namespace) -> None:
    """Fill the home up to the wanted count; one that has it is left as it is."""
    home.make_folders()
    embedder.prepare(home.models_dir)
    home.memory_file.write_text(_memory_md("unedited"))
    memory = Memory(home)
    memory.sync()
    memory.ingest([options.logs])
    missing = options.count - memory.stats()["memories"]
    if missing > 0:
        _repeat(memory, options, missing)
    _make_vectors(memory, options.embed)
    memory.close()


def _memory_md(word: str) -> str:
    lines = [f"- Shelf {number} of the archive holds maps of harbour {number * 7}." for number in range(ENTRIES)]
    return "# Archive\n\n" + "\n".join([*lines, f"- The lighthouse keeper's logbook is {word}."]) + "\n"


def _repeat(memory: Memory, options: argparse.Namespace, missing: int) -> None:
    """Varied copies of all conversations, logs and LoCoMo in turn, one transaction a round."""
    chance = random.Random(1)
    talks = [
        (replace(talk, started_at=talk.started_at or "2026-01-01"), memory_chunks)
        for talk in memory.conversations()
        if (memory_chunks := chunk_transcript(talk))
    ]
    talks += [(talk.transcript, list(talk.chunks)) for hay in read_locomo(options.locomo) for talk in hay.talks]
    words = [word for _, chunks in talks for chunk in chunks for word in chunk.search_text.split()]
    copies = _copies(talks, words, chance)
    source = SourceFile("benchmark", "evaluation", "", 0, 0)
    with memory._store.transaction():
        put_source(memory._store, source)
        while missing > 0:
            transcript, chunks = next(copies)
            put_conversation(memory._store, source.path, transcript, chunks[:missing], {})
            missing -= len(chunks)


def _copies(
    talks: list[tuple[Transcript, list[Chunk]]], words: list[str], chance: random.Random
) -> Iterator[tuple[Transcript, list[Chunk]]]:
    number = 0
    while True:
        for transcript, chunks in talks:
            varied = []
            for chunk in chunks:
                parts = chunk.search_text.split()
                for at in chance.sample(range(len(parts)), max(1, int(CHANGED_SHARE * len(parts)))):
                    parts[at] = chance.choice(words)
                text = " ".join(parts)
                varied.append(replace(chunk, text=text, search_text=text))
            yield replace(transcript, id=f"copy {number} of {transcript.id}", turns=()), varied
        number += 1


def _make_vectors(memory: Memory, embedded: int) -> None:
    store = memory._store
    with store.locked() as connection:
        rows = connection.execute(
            "SELECT text_hash, search_text FROM chunks WHERE text_hash NOT IN (SELECT text_hash FROM vectors)"
            " GROUP BY text_hash ORDER BY min(number)"
        ).fetchall()
        stored = connection.execute("SELECT vector FROM vectors LIMIT ?", (embedded,)).fetchall()
    base = [np.frombuffer(row[0], np.float32) for row in stored]
    if not rows:
        return
    made: list[tuple[str, np.ndarray]] = []
    if not base:
        every = max(1, len(rows) // embedded)
        chosen, rows = rows[::every], [row for place, row in enumerate(rows) if place % every]
        base = list(embedder.load(memory.home.models_dir).encode([row["search_text"] for row in chosen]))
        made = [(row["text_hash"], vector) for row, vector in zip(chosen, base, strict=True)]
    chance = np.random.default_rng(1)
    for row in rows:
        noise = chance.standard_normal(len(base[0]), np.float32)
        vector = base[chance.integers(len(base))] + TURN * noise / np.linalg.norm(noise)
        made.append((row["text_hash"], vector / np.linalg.norm(vector)))
    with store.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)",
            [(key, embedder.NAME, vector.astype(np.float32).tobytes()) for key, vector in made],
        )
        bump(connection, "vector_generation")


# -- measuring it ------------------------------------------------------------------------------------------------------


def measure(home: Home, options: argparse.Namespace) -> None:
    questions = [question.text for hay in read_locomo(options.locomo) for question in hay.questions]
    asked = random.Random(2).sample(questions, min(QUERIES, len(questions)))
    own = psutil.Process()
    before_mb = own.memory_info().rss / 1e6
    memory = Memory(home)
    stats = memory.stats()
    rows = [("first recall, which loads embedder and vectors", f"{seconds(lambda: memory.recall(asked[0])):.2f} s", "")]
    if options.chroma:
        rows.append(("Chroma filled and opened", f"{seconds(memory.warm):.0f} s", ""))
    rows.append(("recall with the query's embedding: p50, p95", _percentiles(memory, asked), "30, 80 ms"))
    rows.append((f"this process (before: {before_mb:,.0f} MB)", f"{own.memory_info().rss / 1e6:,.0f} MB", "400 MB"))
    rows += [(f"{name}'s process", f"{mb:,.0f} MB", "") for name, mb in _children(own)]
    rows.append(("unchanged input given again", f"{seconds(lambda: memory.ingest([options.logs])):.2f} s", "2 s"))
    rows.append(("one edited line, until recall shows it", f"{_edit(memory):.2f} s", "1 s"))
    rows.append(("vectors: recall@10 against float32", f"{_vector_recall(memory, asked):.4f}", "0.99"))
    memory.close()
    title = f"{stats['memories']:,} chunks in {stats['conversations']:,} conversations, {stats['vectors']:,} vectors"
    print_table(f"{title} ({options.embed:,} embedded, the others turned); {len(asked)} questions", rows)


def _percentiles(memory: Memory, asked: list[str]) -> str:
    times = sorted(seconds(lambda question=question: memory.recall(question)) for question in asked)  # type: ignore[misc]
    return f"{1000 * statistics.median(times):.1f}, {1000 * times[int(0.95 * len(times))]:.1f} ms"


def _children(own: psutil.Process) -> list[tuple[str, float]]:
    return [("Chroma", child.memory_info().rss / 1e6) for child in own.children()]


def _edit(memory: Memory) -> float:
    memory.fill_vectors()
    word = f"missing-{time.time_ns()}"
    memory.home.memory_file.write_text(_memory_md(word))
    started = time.perf_counter()
    memory.sync()
    memory.fill_vectors()
    (found,) = memory.recall("in what state is the logbook of the lighthouse keeper", k=1)
    if word not in found.text:
        raise SystemExit("the edited line was not found")
    return time.perf_counter() - started


def _vector_recall(memory: Memory, asked: list[str]) -> float:
    """The share of the ten truly nearest that the search finds, nearest by float32."""
    with memory._store.locked() as connection:
        stored = connection.execute("SELECT text_hash, vector FROM vectors").fetchall()
    keys = [row[0] for row in stored]
    vectors = np.stack([np.frombuffer(row[1], np.float32) for row in stored])
    encoder = embedder.load(memory.home.models_dir)
    shares = []
    for question in asked:
        query = encoder.encode_query(question)
        true = {keys[place] for place in np.argpartition(-(vectors @ query), 10)[:10]}
        shares.append(len(true & {key for key, _ in memory._vectors.nearest(query, 100)[:10]}) / 10)
    return statistics.fmean(shares)


if __name__ == "__main__":
    main()
