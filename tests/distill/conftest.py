"""Homes that have read the sample conversations, or hold the answers of planted teachers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from planted import TOPICS, questions_of, sentences, stored
from talks import CONVERSATIONS

from distill.purify.asked import Asked, asked_of
from distill.purify.embedding import Embed
from distill.teachers.replies import Replies
from memory import embedder
from memory.api import Memory
from memory.home import Home
from molting_agent.identity import create_home


@pytest.fixture
def taught_home(make_home: Callable[..., Home]) -> Home:
    """A home that has ingested the sample conversations (text only: no vectors are needed to learn)."""
    home = make_home("taught")
    create_home(home)
    home.molts_dir.joinpath("current").unlink(missing_ok=True)
    memory = Memory(home)
    memory.ingest([CONVERSATIONS])
    memory.close()
    return home


@pytest.fixture(scope="session")
def words_of(prepared_models: Path) -> Path:
    """The embedded model's file: tiny models take the beginning of its vocabulary."""
    return next(prepared_models.glob("*.gguf"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Products of tiny models are faster on one core, beside whatever else the machine does."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def prepared_embedder(prepared_models: Path) -> Path:
    """The prepared models with the embedder among them."""
    embedder.prepare(prepared_models)
    return prepared_models


@pytest.fixture(scope="session")
def embed(prepared_embedder: Path) -> Embed:
    """The real MiniLM: texts to vectors of length 1."""
    return embedder.load(prepared_embedder).encode


@pytest.fixture
def prepared_home(make_home: Callable[..., Home], prepared_embedder: Path) -> Home:
    """A home with identity and the real embedder, where nothing was said yet."""
    home = make_home("asked")
    assert prepared_embedder.samefile(home.models_dir)
    create_home(home)
    return home


@pytest.fixture
def asked_home(prepared_home: Home) -> list[Asked]:
    """The planted teachers' answers, in the store of ``prepared_home``."""
    texts, topics = questions_of(sentences(0))
    for teacher in TOPICS:
        store = Replies(prepared_home, teacher)
        for text, topic in zip(texts, topics, strict=True):
            store.add(stored(teacher, text, topic))
    return asked_of(prepared_home)
