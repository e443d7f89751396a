"""The embedder of choice: any sentence-transformers model with its own pooling and prompts, taken up by itself."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memory import embedder
from memory.api import Memory
from memory.errors import HomeError
from memory.home import Home
from tests.memory.conftest import MEMORY_MD
from tests.memory.tiny_embedder import DIMENSIONS, make_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights in a folder."""
    return make_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def chosen(full_home: Home, prepared_embedder: Path) -> Iterator[Memory]:
    """A memory with the sample MEMORY.md whose chunks are all embedded by MiniLM."""
    full_home.memory_file.write_bytes(MEMORY_MD.read_bytes())
    memory = Memory(full_home)
    memory.sync()
    memory.fill_vectors()
    yield memory
    memory.close()


def _choose(home: Home, name: str) -> None:
    home.config_file.write_text(f'[memory]\nembedder = "{name}"\n')


def _embedders(memory: Memory) -> dict[str, int]:
    with memory._store.locked() as connection:
        rows = connection.execute("SELECT embedder, count(*) FROM vectors GROUP BY embedder").fetchall()
    return {row[0].partition("@")[0]: row[1] for row in rows}


def test_pooling_dense_layer_and_prompts_are_the_models_own(tiny: Path, prepared_embedder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    embedder.prepare(prepared_embedder, str(tiny))
    encoder = embedder.load(prepared_embedder, str(tiny))
    assert encoder.facts.dimensions == DIMENSIONS
    assert encoder.facts.query_prompt == "when: "
    original = SentenceTransformer(str(tiny), device="cpu")
    texts = ["who feeds the cat", "maçã", "backups run every night " * 30]
    passages = original.encode_document(texts, normalize_embeddings=True)
    assert np.allclose(encoder.encode(texts), passages, atol=1e-4)
    for text in texts:
        question = original.encode_query(text, normalize_embeddings=True)
        assert np.allclose(encoder.encode_query(text), question, atol=1e-4)
    assert not np.allclose(encoder.encode(texts[:1]), encoder.encode_query(texts[0]), atol=1e-4)


def test_another_embedder_is_taken_up_and_the_old_vectors_go_when_the_new_are_whole(
    chosen: Memory, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _embedders(chosen)
    count = before[embedder.NAME]
    _choose(chosen.home, str(tiny))
    seen: list[dict[str, int]] = []
    chosen.fill_vectors(lambda _: seen.append(_embedders(chosen)))
    assert seen[0] == before  # the old ones stay until the new are whole
    assert _embedders(chosen) == {"tiny-model": count}
    assert chosen.stats()["vectors_missing"] == 0
    assert chosen.recall("when do the backups run")
    chosen.warm()
    found = chosen._vectors.nearest(chosen._vectors._loaded().encode_query("who feeds the cat"), 5)
    assert len(found) == 5
    assert chosen._vectors._index.is_open
    chosen.close()
    again = Memory(chosen.home)  # a new process finds it prepared
    assert again._vectors.embedder_name.startswith("tiny-model@")
    assert again.fill_vectors() == 0
    again.close()


def test_an_embedder_that_is_not_there_is_one_line_and_the_old_one_goes_on(chosen: Memory) -> None:
    before = _embedders(chosen)
    _choose(chosen.home, "nobody/no-such-model")
    assert chosen.fill_vectors() == 0
    notice = chosen.take_notice()
    assert "nobody/no-such-model" in notice
    assert "all-MiniLM-L6-v2 goes on" in notice
    assert "\n" not in notice
    assert chosen.take_notice() == ""
    assert _embedders(chosen) == before
    assert chosen.fill_vectors() == 0  # and it is not tried again and again
    assert chosen.take_notice() == ""
    assert chosen.recall("when do the backups run")


def test_a_model_that_changed_in_its_folder_is_prepared_again(tmp_path: Path, prepared_embedder: Path) -> None:
    path = make_model(tmp_path / "first", seed=4)
    embedder.prepare(prepared_embedder, str(path))
    old = embedder.read_facts(prepared_embedder, str(path))
    make_model(tmp_path / "first", seed=5, pooling="mean")
    assert not embedder.is_prepared(prepared_embedder, str(path))
    embedder.prepare(prepared_embedder, str(path))
    new = embedder.read_facts(prepared_embedder, str(path))
    assert old
    assert new
    assert new.key != old.key


@pytest.mark.parametrize("line", ["embedder = 3", 'chroma = "somewhere"', 'chroma = "ftp://host"'])
def test_settings_that_make_no_sense_name_the_key(bare_home: Home, line: str) -> None:
    bare_home.config_file.write_text(f"[memory]\n{line}\n")
    with pytest.raises(HomeError, match="memory." + line.split(maxsplit=1)[0]):
        Memory(bare_home)
