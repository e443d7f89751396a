"""What the memory's tests share: fixtures by path and homes with the real embedder, prepared once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import embedder
from memory.api import Memory
from memory.home import Home

FIXTURES = Path(__file__).parent.parent / "fixtures"
ROOT = FIXTURES.parent.parent


@pytest.fixture(scope="session")
def prepared_embedder(prepared_models: Path) -> Path:
    """A models folder that holds the prepared embedder too."""
    embedder.prepare(prepared_models)
    return prepared_models


@pytest.fixture
def bare_home(tmp_path: Path) -> Home:
    """A home without any model: words alone find memories."""
    home = Home(tmp_path / "bare")
    home.make_folders()
    return home


@pytest.fixture
def full_home(tmp_path: Path, prepared_embedder: Path) -> Home:
    """A home with the real embedder."""
    home = Home(tmp_path / "full")
    home.make_folders()
    home.models_dir.rmdir()
    home.models_dir.symlink_to(prepared_embedder, target_is_directory=True)
    return home


@pytest.fixture
def memory(bare_home: Home) -> Iterator[Memory]:
    """A memory that searches by words."""
    found = Memory(bare_home)
    yield found
    found.close()


@pytest.fixture
def full_memory(full_home: Home) -> Iterator[Memory]:
    """A memory that searches by words and vectors."""
    found = Memory(full_home)
    yield found
    found.close()


def write_lines(path: Path, *records: Any) -> Path:
    """A JSON Lines file; bytes and strings are written as they are."""
    with path.open("wb") as file:
        for record in records:
            line = (
                record
                if isinstance(record, bytes)
                else (record if isinstance(record, str) else json.dumps(record)).encode()
            )
            file.write(line + b"\n")
    return path
