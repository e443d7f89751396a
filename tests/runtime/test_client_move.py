"""One engine goes on from another model file: a worker of its own opens it, and the old one stays where that fails."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from memory.errors import EngineError, ModelError
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import describe, embedded_model
from molting_agent.runtime.protocol import Segment

ADAPTER = Path("identity/molt-0001/adapter.gguf").absolute()
TEXT = [Segment("Who are you? "), Segment("A lobster who keeps notes.", target=True)]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_another_file_and_back(home: Home) -> None:
    base = embedded_model(home)
    other_path = home.root / "other.gguf"
    shutil.copyfile(base.path, other_path)
    other = replace(base, path=other_path)
    with EngineClient(base, home=home, context_tokens=512, adapter=ADAPTER, shares_cores=True) as engine:
        with_adapter, first = engine.score(TEXT), engine.pid
        engine.move(other, None)
        alone, second = engine.score(TEXT), engine.pid
        assert not is_alive(first)
        assert alone != with_adapter
        assert engine.info.adapter is None
        assert engine.info.model_sha256 == base.source_sha256
        engine.move(base, ADAPTER)
        assert engine.score(TEXT) == with_adapter
        assert not is_alive(second)


def test_a_file_that_does_not_open_changes_nothing(home: Home) -> None:
    base = embedded_model(home)
    broken = home.root / "broken.gguf"
    broken.write_bytes(base.path.read_bytes()[:200_000])
    with EngineClient(base, home=home, context_tokens=512, adapter=ADAPTER, shares_cores=True) as engine:
        before, worker = engine.score(TEXT), engine.pid
        with pytest.raises(EngineError, match=r"broken\.gguf: llama\.cpp cannot load this model"):
            engine.move(replace(base, path=broken), None)
        assert engine.pid == worker
        assert engine.info.adapter == ADAPTER
        assert engine.score(TEXT) == before
        with pytest.raises(ModelError, match="no such model file"):
            engine.move(replace(base, path=broken), home.root / "no.gguf")
        assert engine.score(TEXT) == before
        assert describe(base.path, name="x", source="x").sha256 == base.sha256
