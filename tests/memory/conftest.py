"""What the memory's tests share: fixtures by path and homes with the real embedder, prepared once."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import embedder
from memory.api import Memory
from memory.home import Home
from memory.transcripts.writer import SessionWriter

FIXTURES = Path(__file__).parent.parent / "fixtures"
CLAUDIO = FIXTURES / "claudio"
ROOT = FIXTURES.parent.parent
MEMORY_MD = ROOT / "identity" / "sample" / "MEMORY.md"


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


@pytest.fixture(scope="session")
def remembered(tmp_path_factory: pytest.TempPathFactory, prepared_embedder: Path) -> Path:
    """A home with the sample MEMORY.md and conversations, all embedded; ``claudio`` opens a copy of it."""
    home = Home(tmp_path_factory.mktemp("remembered"))
    home.make_folders()
    home.models_dir.rmdir()
    home.models_dir.symlink_to(prepared_embedder, target_is_directory=True)
    shutil.copy(MEMORY_MD, home.memory_file)
    memory = Memory(home)
    memory.sync()
    memory.ingest([CLAUDIO])
    memory.fill_vectors()
    memory.close()
    return home.root


@pytest.fixture
def claudio(full_home: Home, remembered: Path) -> Iterator[Memory]:
    """The memory of a home of its own that holds what ``remembered`` does."""
    shutil.copy2(remembered / "MEMORY.md", full_home.memory_file)
    shutil.copy2(remembered / "memory.db", full_home.db_file)
    found = Memory(full_home)
    yield found
    found.close()


def own_session(home: Home, *exchanges: tuple[str, str]) -> tuple[SessionWriter, list[str]]:
    """A session of our own in the home, with the ids of its replies."""
    writer = SessionWriter.create(home.sessions_dir)
    replies = []
    for asked, answer in exchanges:
        writer.user(asked)
        replies.append(writer.assistant(answer, molt=1, base_sha256="ab" * 32, model="m", memories=[]))
    return writer, replies


def files_holding(root: Path, needle: bytes) -> list[str]:
    """Files below ``root`` with ``needle`` in their bytes; the models, which are only linked, are left out."""
    paths = [path for path in root.rglob("*") if path.is_file() and "models" not in path.relative_to(root).parts]
    return [str(path.relative_to(root)) for path in paths if needle in path.read_bytes()]


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
