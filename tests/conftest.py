"""What all tests share: homes in temporary folders with the real, once-prepared models."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import embedded_model


@pytest.fixture(scope="session")
def prepared_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder holding the embedded model as Q8_0, made once for all tests (some seconds)."""
    home = Home(tmp_path_factory.mktemp("prepared"))
    home.make_folders()
    embedded_model(home)
    return home.models_dir


@pytest.fixture
def make_home(tmp_path: Path, prepared_models: Path) -> Callable[..., Home]:
    """Makes homes whose models folder is the prepared one."""

    def make(name: str = "home", *, with_models: bool = True) -> Home:
        home = Home(tmp_path / name)
        home.make_folders()
        if with_models:
            home.models_dir.rmdir()
            home.models_dir.symlink_to(prepared_models, target_is_directory=True)
        return home

    return make


@pytest.fixture
def home(make_home: Callable[..., Home]) -> Home:
    """An empty home with the prepared models."""
    return make_home()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, prepared_models: Path) -> Iterator[EngineClient]:
    """The real embedded model in a real worker, shared by the tests that do not kill it."""
    home = Home(tmp_path_factory.mktemp("engine"))
    home.make_folders()
    home.models_dir.rmdir()
    home.models_dir.symlink_to(prepared_models, target_is_directory=True)
    with EngineClient(embedded_model(home), home=home, context_tokens=2048) as client:
        yield client


@pytest.fixture(autouse=True)
def _no_real_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may touch the home of whoever runs it, or wait for a network."""
    monkeypatch.setenv("MOLTING_HOME", str(tmp_path / "default-home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
