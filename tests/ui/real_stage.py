"""The app over the real agent, memory, transcripts and registry; only the engine is the echo."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_agent import training_kind
from stage import Stage

from distill.manifest import describe_files, write_manifest
from distill.registry import Registry
from memory.api import Memory
from memory.home import Home
from molting_agent.agent import Agent
from molting_agent.config import Config
from molting_agent.first_run import met
from molting_agent.identity import create_home
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import EMBEDDED_SHA256
from molting_agent.ui.app import MoltingApp


class LexicalMemory(Memory):
    """The real memory without its embedder, which takes longer to prepare than all these tests together."""

    def warm(self) -> None:
        pass

    def fill_vectors(self, on_progress: object = None) -> int:
        return 0


def write_molt(home: Home, number: int) -> None:
    folder = Registry(home.molts_dir).folder(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter.gguf").write_bytes(b"weights %d" % number)
    samples = [{"question": f"Question {n}?", "champion": f"old {n}", "candidate": f"new {n}\x1b[2J"} for n in range(3)]
    verdict = {"verdict": "promoted", "reasons": ["held-out text is better: 1.400 -> 1.300"]}
    report = {"molt": number, "champion": 1, "samples": samples, "verdict": verdict}
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "report.md").write_text(f"# Molt {number}\n")
    manifest = {"schema": 1, "molt": number, "created_at": "2026-01-01T00:00:00Z", "base_sha256": EMBEDDED_SHA256}
    manifest |= {"verdict": "promoted", "title": "made by a test"}
    write_manifest(folder, {**manifest, "files": describe_files(folder, ["adapter.gguf"])})


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("molting_agent.ui.app.TICK_S", 0.1)
    home = Home(tmp_path / "home")
    create_home(home)
    met(home)
    shutil.copy(Path(__file__).parents[2] / "identity" / "sample" / "MEMORY.md", home.memory_file)

    @asynccontextmanager
    async def opened(engine: EchoEngine | None = None, size: tuple[int, int] = (100, 30)) -> AsyncIterator[Stage]:
        engine = engine or EchoEngine("I see.")
        agents: list[Agent] = []

        def make() -> Agent:
            memory = LexicalMemory(home)
            memory.sync()
            agents.append(Agent(home, Config(), memory=memory, open_engine=lambda _model, _adapter: engine))
            return agents[0]

        app = MoltingApp(home, Config(), make_agent=make, retraining=training_kind())
        try:
            async with app.run_test(size=size) as pilot:
                s = Stage(app, pilot, None, None)  # type: ignore[arg-type]
                s.engine = engine
                await s.until(lambda: app.ready, "ready")
                yield s
        finally:
            for agent in agents:
                agent.close()

    return opened
