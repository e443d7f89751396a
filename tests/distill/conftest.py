"""A home that has read the sample conversations."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from talks import CONVERSATIONS

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
