"""Agents over the echo engine and a memory that answers as scripted, so that a turn's order can be looked at."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distill.manifest import describe_files, write_manifest
from distill.registry import Registry
from memory.api import RecalledMemory
from memory.home import Home
from memory.values import Forgotten, IngestReport
from molting_agent.agent import Agent
from molting_agent.config import Config
from molting_agent.identity import create_home
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import EMBEDDED_SHA256, ModelFile
from molting_agent.runtime.protocol import Engine


def remembered(memory_id: str, text: str, **values: Any) -> RecalledMemory:
    """A recalled memory with everything but its text made up."""
    made = RecalledMemory(memory_id, text, "", "MEMORY.md:1", 0.9, {"lexical": 1.0}, "owner", "normal", "MEMORY.md")
    return replace(made, **values)


class ScriptedMemory:
    """Stands in for the memory where a test is about the turn and not about retrieval."""

    def __init__(self, *memories: RecalledMemory) -> None:
        self.memories = {memory.id: memory for memory in memories}
        self.answer: list[str] = [memory.id for memory in memories]
        self.asked: list[tuple[str, str]] = []
        self.syncs = 0
        self.error: Exception | None = None

    def recall(self, query: str, *, k: int = 5, budget_tokens: int = 400, exclude_transcript: str = "") -> list[Any]:
        if self.error:
            raise self.error
        self.asked.append((query, exclude_transcript))
        return [self.memories[memory_id] for memory_id in self.answer][:k]

    def get(self, ids: list[str]) -> list[RecalledMemory]:
        return [self.memories[memory_id] for memory_id in ids if memory_id in self.memories]

    def forget_all(self, ids: list[str], messages: object = None) -> Forgotten:
        for memory_id in ids:
            del self.memories[memory_id]
        return Forgotten(ids=frozenset(ids))

    def sync(self) -> IngestReport:
        self.syncs += 1
        return IngestReport()

    def fill_vectors(self, on_progress: object = None) -> int:
        return 0

    def warm(self) -> None:
        pass

    def keep_in_step(self) -> None:
        pass

    def take_notice(self) -> str:
        return ""

    def close(self) -> None:
        pass


class Stage:
    """One home with an agent on it; ``agent`` may be replaced by another over the same files, as after a restart."""

    def __init__(self, home: Home, engine: EchoEngine, memory: ScriptedMemory) -> None:
        self.home, self.engine, self.memory = home, engine, memory
        self.opened: list[Path | None] = []
        self.agents: list[Agent] = []
        self.config = Config()

    remembered = staticmethod(remembered)

    def agent(self, **model: Any) -> Agent:
        """A fresh agent; keyword arguments are settings of [model]."""

        def open_engine(_model: ModelFile, adapter: Path | None) -> Engine:
            self.opened.append(adapter)
            self.engine.adapter = adapter
            return self.engine

        config = self.config.model_copy(update={"model": self.config.model.model_copy(update=model)})
        agent = Agent(self.home, config, memory=self.memory, open_engine=open_engine)  # type: ignore[arg-type]
        self.agents.append(agent)
        return agent

    def prompt(self, number: int = -1) -> str:
        """What the engine was asked, as one text."""
        return "".join(segment.text for segment in self.engine.requests[number])


@pytest.fixture
def base_home(home: Home) -> Home:
    """A made home without the molt he ships with: tests bring their own."""
    create_home(home)
    shutil.rmtree(home.molts_dir)
    home.molts_dir.mkdir()
    return home


@pytest.fixture
def stage(base_home: Home) -> Iterator[Stage]:
    """A made home at molt 0, an echo engine, an empty memory."""
    stage = Stage(base_home, EchoEngine("I see."), ScriptedMemory())
    yield stage
    for agent in stage.agents:
        agent.close()


@pytest.fixture
def write_molt() -> Callable[..., Path]:
    """Writes a molt as distill does, with made-up weights, and gives its folder; it does not speak yet."""

    def write(home: Home, number: int, *, base: str = EMBEDDED_SHA256, title: str = "") -> Path:
        folder = Registry(home.molts_dir).folder(number)
        shutil.rmtree(folder, ignore_errors=True)  # the shipped one has number 1
        folder.mkdir(parents=True)
        (folder / "adapter.gguf").write_bytes(b"weights %d" % number)
        manifest = {"schema": 1, "molt": number, "created_at": "2026-01-01T00:00:00Z", "base_sha256": base}
        manifest |= {"verdict": "promoted", "title": title}
        write_manifest(folder, {**manifest, "files": describe_files(folder, ["adapter.gguf"])})
        return folder

    return write


@pytest.fixture
def write_gguf() -> Callable[..., Path]:
    """Writes a whole, very small GGUF of type model and gives its path."""

    def write(path: Path, *, seed: int = 0) -> Path:
        import numpy as np
        from gguf import GGUFWriter

        writer = GGUFWriter(path, "llama")
        writer.add_type("model")
        writer.add_tensor("token_embd.weight", np.random.default_rng(seed).random((64, 64), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write
