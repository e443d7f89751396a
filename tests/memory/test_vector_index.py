"""Chroma, the derived index: really searched, in step with SQLite, healed when damaged, owned by one at a time."""

import os
import random
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from memory.api import Memory
from memory.index_client import IndexClient, IndexLost
from memory.vector_index import FolderIndex, VectorIndex

COUNT = 1300
"""Over Chroma's threshold of 1,000, from which on it writes its graph to files of its own."""
QUERIES = ["when do the backups run", "who feeds the cat", "ferry photographs", "how much coffee"]


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


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a filled index; tests damage copies of it."""
    vectors = Vectors()
    folder = tmp_path_factory.mktemp("filled") / "chroma"
    index = FolderIndex(folder, "test")
    assert index.open(0)
    assert index.sync(set(vectors.keys), vectors.load)
    index.close()
    return folder


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
    index = FolderIndex(tmp_path / "chroma", "test")
    assert index.open(0)
    assert index.search(vectors.matrix[0], 5) == []
    _check(index, vectors)
    half = set(vectors.keys[:150])
    index.sync(half, vectors.load)
    assert {key for key, _ in index.search(vectors.matrix[200], 300)} == half
    index.close()


def test_every_file_cut_or_with_a_flipped_bit_heals(filled: Path, tmp_path: Path) -> None:
    """Each file is damaged in a copy: at the front and at one seeded place; nothing is opened that could be wrong."""
    names = [path.relative_to(filled) for path in sorted(filled.rglob("*")) if path.is_file()]
    assert {"chroma.sqlite3", "header.bin", "data_level0.bin", "state.json"} <= {name.name for name in names}
    chance = random.Random(5)
    _damage_and_heal(filled, tmp_path, [(name, how, chance.random()) for name in names for how in ("cut", "flip")])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_file_cut_or_flipped_at_twenty_places_heals(filled: Path, tmp_path: Path) -> None:
    names = [path.relative_to(filled) for path in sorted(filled.rglob("*")) if path.is_file()]
    chance = random.Random(6)
    places = [(name, how, chance.random()) for name in names for how in ("cut", "flip") for _ in range(20)]
    _damage_and_heal(filled, tmp_path, places)


def _damage_and_heal(filled: Path, folder: Path, places: list[tuple[Path, str, float]]) -> None:
    vectors = Vectors()
    for number, (name, how, where) in enumerate(places):
        copy = folder / str(number)
        shutil.copytree(filled, copy)
        path = copy / name
        data = bytearray(path.read_bytes())
        if data:
            place = int(where * len(data))
            data[place] ^= 1 << number % 8
        path.write_bytes(data[: int(where * len(data))] if how == "cut" else data)
        index = FolderIndex(copy, "test")
        assert index.open(0)
        _check(index, vectors)
        index.close()
        shutil.rmtree(copy)


@pytest.mark.parametrize("damage", ["delete folder", "delete data", "flip state", "extra file"])
def test_an_index_that_is_not_as_it_was_left_is_made_anew(filled: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "chroma"
    shutil.copytree(filled, folder)
    (header,) = folder.rglob("header.bin")
    match damage:
        case "delete folder":
            shutil.rmtree(folder)
        case "delete data":
            shutil.rmtree(header.parent)
        case "flip state":
            (folder / "state.json").write_text('{"data": "../../elsewhere"}')
        case "extra file":
            header.with_name("odd.bin").write_bytes(b"x")
    index = FolderIndex(folder, "test")
    assert index.open(0)
    assert index.is_fresh
    _check(index, Vectors())
    index.close()


def test_an_index_from_before_a_forgetting_or_of_another_embedder_is_made_anew(tmp_path: Path) -> None:
    vectors = Vectors(50)
    for embedder, purges in (("test", 0), ("test", 1), ("other", 1)):
        index = FolderIndex(tmp_path / "chroma", embedder)
        assert index.open(purges)
        assert len(index) == 0
        index.sync(set(vectors.keys), vectors.load)
        index.close()
    again = FolderIndex(tmp_path / "chroma", "other")
    assert again.open(1)
    assert not again.is_fresh
    assert len(again) == 50
    again.close()


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    first, second = FolderIndex(tmp_path / "chroma", "test"), FolderIndex(tmp_path / "chroma", "test")
    assert first.open(0)
    assert not second.open(0)
    assert not second.discard()
    first.close()
    assert second.open(0)
    second.close()
    second.close()


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were found by each search of Chroma."""
    counts: list[int] = []
    search = IndexClient.search

    def counted(index: IndexClient, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        found = search(index, vector, limit)
        counts.append(len(found))
        return found

    monkeypatch.setattr(IndexClient, "search", counted)
    return counts


def _ids(memory: Memory) -> list[list[str]]:
    return [[found.id for found in memory.recall(query)] for query in QUERIES]


def test_recall_searches_chroma_once_it_is_warm_and_finds_the_same(claudio: Memory, searches: list[int]) -> None:
    exact = _ids(claudio)
    assert searches == []
    claudio.warm()
    assert (claudio.home.chroma_dir / "state.json").exists()
    assert _ids(claudio) == exact
    assert len(searches) == len(QUERIES)
    assert min(searches) >= 60


def test_a_child_that_is_killed_costs_a_search_and_is_replaced(claudio: Memory, searches: list[int]) -> None:
    exact = _ids(claudio)
    claudio.warm()
    child = claudio._vectors._index._child
    assert child
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert _ids(claudio) == exact
    assert searches == []
    claudio.keep_in_step()
    assert claudio._vectors._index.was_made_anew
    assert _ids(claudio) == exact
    assert len(searches) == len(QUERIES)
    assert min(searches) >= 60


def test_a_child_that_always_dies_is_given_up_and_the_exact_search_answers(
    claudio: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = _ids(claudio)
    starts = []

    def dying(_index: IndexClient, purges: int) -> None:
        starts.append(purges)
        _index._deaths += 1
        raise IndexLost

    monkeypatch.setattr(IndexClient, "_start", dying)
    claudio.warm()
    for _ in range(5):
        claudio.keep_in_step()
    assert len(starts) <= 4
    assert _ids(claudio) == exact


def test_what_another_process_wrote_is_in_the_index_after_the_next_look(claudio: Memory, searches: list[int]) -> None:
    claudio.warm()
    other = Memory(claudio.home)
    other.add("The spare key of the boathouse hangs behind the blue barometer.")
    other.fill_vectors()
    other.close()
    found = [memory.text for memory in claudio.recall("where is the key of the boathouse")]
    assert "The spare key of the boathouse hangs behind the blue barometer." in found
    assert searches == []  # not in step: exactly searched
    claudio.keep_in_step()
    assert [memory.text for memory in claudio.recall("where is the key of the boathouse")] == found
    assert len(searches) == 1


def test_a_second_process_reads_on_while_the_first_has_the_index(claudio: Memory, searches: list[int]) -> None:
    claudio.warm()
    exact = _ids(claudio)
    other = Memory(claudio.home)
    other.warm()
    assert not other._vectors._index.is_open
    searches.clear()
    assert _ids(other) == exact
    assert searches == []
    claudio.close()
    other.keep_in_step()
    assert _ids(other) == exact
    assert len(searches) == len(QUERIES)
    assert min(searches) >= 60
    other.close()


def test_deleting_the_folder_of_a_whole_memory_costs_nothing(claudio: Memory) -> None:
    claudio.warm()
    before = _ids(claudio)
    claudio.close()
    shutil.rmtree(claudio.home.chroma_dir)
    again = Memory(claudio.home)
    again.warm()
    assert again._vectors._index.is_open
    assert _ids(again) == before
    again.close()
