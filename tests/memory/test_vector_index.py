"""Chroma, the derived index: really searched, in step with SQLite, healed when damaged, owned by one at a time."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from memory.api import Memory
from memory.vector_index import VectorIndex

COUNT = 1300
"""Over Chroma's threshold of 1,000, from which on it writes its graph to files of its own."""


class Vectors:
    """Seeded unit vectors under made-up hashes."""

    def __init__(self, count: int = COUNT) -> None:
        raw = np.random.default_rng(7).standard_normal((count, 32)).astype(np.float32)
        self.matrix = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        self.keys = [f"{number:064x}" for number in range(count)]

    def load(self, keys: Sequence[str]) -> np.ndarray:
        return self.matrix[[int(key, 16) for key in keys]]

    def nearest(self, number: int, limit: int) -> list[str]:
        cosines = self.matrix @ self.matrix[number]
        return [self.keys[i] for i in np.argsort(-cosines)[:limit]]


def _filled(folder: Path, vectors: Vectors) -> None:
    index = VectorIndex(folder, "test")
    assert index.open(0)
    assert index.sync(set(vectors.keys), vectors.load)
    index.close()


def _check(index: VectorIndex, vectors: Vectors) -> None:
    """Bring in step, as the memory does after opening, and compare with exact search."""
    assert index.sync(set(vectors.keys), vectors.load)
    for number in range(0, len(vectors.keys), 100):
        found = index.search(vectors.matrix[number], 10)
        assert found[0][0] == vectors.keys[number]
        assert found[0][1] == pytest.approx(1.0, abs=1e-4)
        assert len({key for key, _ in found} & set(vectors.nearest(number, 10))) >= 9


def test_search_agrees_with_exact_search_and_follows_changes(tmp_path: Path) -> None:
    vectors = Vectors(300)
    index = VectorIndex(tmp_path / "chroma", "test")
    assert index.open(0)
    assert index.search(vectors.matrix[0], 5) == []
    _check(index, vectors)
    half = set(vectors.keys[:150])
    index.sync(half, vectors.load)
    assert {key for key, _ in index.search(vectors.matrix[200], 300)} == half
    index.close()


@pytest.mark.parametrize(
    "damage", ["delete folder", "truncate header", "flip header", "truncate sqlite", "flip state", "delete data"]
)
def test_a_damaged_index_heals_itself(tmp_path: Path, damage: str) -> None:
    """A damaged header kills the process that opens it: without the probe there would be no result of this test."""
    vectors = Vectors()
    folder = tmp_path / "chroma"
    _filled(folder, vectors)
    (header,) = folder.rglob("header.bin")
    (sqlite,) = folder.rglob("chroma.sqlite3")
    match damage:
        case "delete folder":
            shutil.rmtree(folder)
        case "truncate header":
            header.write_bytes(header.read_bytes()[:10])
        case "flip header":
            header.write_bytes(bytes(byte ^ 0xFF for byte in header.read_bytes()))
        case "truncate sqlite":
            sqlite.write_bytes(sqlite.read_bytes()[:5000])
        case "flip state":
            (folder / "state.json").write_text('{"data": "../../elsewhere"}')
        case "delete data":
            shutil.rmtree(header.parent)
    index = VectorIndex(folder, "test")
    assert index.open(0)
    _check(index, vectors)
    index.close()


def test_an_index_from_before_a_forgetting_or_of_another_embedder_is_made_anew(tmp_path: Path) -> None:
    vectors = Vectors(50)
    _filled(tmp_path / "chroma", vectors)
    for embedder, purges in (("test", 1), ("other", 1)):
        index = VectorIndex(tmp_path / "chroma", embedder)
        assert index.open(purges)
        assert index.distance_from(set()) == 0
        index.sync(set(vectors.keys), vectors.load)
        index.close()


def test_an_unchanged_index_is_opened_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = Vectors(50)
    _filled(tmp_path / "chroma", vectors)
    monkeypatch.setattr("memory.vector_index._survives_probe", lambda _: pytest.fail("a clean end needs no probe"))
    index = VectorIndex(tmp_path / "chroma", "test")
    assert index.open(0)
    assert index.distance_from(set(vectors.keys)) == 0
    index.close()


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    first, second = VectorIndex(tmp_path / "chroma", "test"), VectorIndex(tmp_path / "chroma", "test")
    assert first.open(0)
    assert not second.open(0)
    assert not second.discard()
    first.close()
    assert second.open(0)
    second.close()
    second.close()


def test_recall_searches_chroma_once_it_is_warm_and_finds_the_same(
    claudio: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    search = VectorIndex.search

    def counted(index: VectorIndex, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        found = search(index, vector, limit)
        searches.append(len(found))
        return found

    monkeypatch.setattr(VectorIndex, "search", counted)
    queries = ["when do the backups run", "who feeds the cat", "ferry photographs", "how much coffee"]
    exact = [[memory.id for memory in claudio.recall(query)] for query in queries]
    assert searches == []
    claudio.warm()
    assert (claudio.home.chroma_dir / "state.json").exists()
    assert [[memory.id for memory in claudio.recall(query)] for query in queries] == exact
    assert searches == [60] * len(queries)


def test_recall_survives_the_loss_of_chroma_while_it_is_open(claudio: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    claudio.warm()
    before = [memory.id for memory in claudio.recall("when do the backups run")]

    def broken(*_: object) -> None:
        raise RuntimeError("the Rust core failed")

    monkeypatch.setattr(VectorIndex, "search", broken)
    assert [memory.id for memory in claudio.recall("when do the backups run")] == before
    claudio.close()
    monkeypatch.undo()
    again = Memory(claudio.home)
    again.warm()
    assert [memory.id for memory in again.recall("when do the backups run")] == before
    again.close()


def test_deleting_the_folder_of_a_whole_memory_costs_nothing(claudio: Memory) -> None:
    claudio.warm()
    before = [memory.id for memory in claudio.recall("who feeds the cat")]
    claudio.close()
    shutil.rmtree(claudio.home.chroma_dir)
    again = Memory(claudio.home)
    again.warm()
    assert again._vectors._index.is_open
    assert [memory.id for memory in again.recall("who feeds the cat")] == before
    again.close()
