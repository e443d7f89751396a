"""What the tests of tools share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yard import CANARY, Yard

from memory.api import Memory
from memory.home import Home
from molting_agent.tools.tool import Place


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    root = tmp_path.resolve()
    work, person, outside = root / "work", root / "person", root / "outside"
    for folder in (work, person / ".ssh", outside, work / "sub"):
        folder.mkdir(parents=True)
    home = Home(person / "molting")
    home.make_folders()
    monkeypatch.setenv("HOME", str(person))
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    for path in (outside / "secret.txt", person / ".ssh" / "id_ed25519", person / "diary.txt", work / ".env"):
        path.write_text(CANARY)
    home.config_file.write_text("[model]\n")
    (work / "notes.txt").write_text("The spare key is with Marta.\n")
    (work / "sub" / "plan.md").write_text("# Plan\nAsk Marta.\n")
    memory: list[Memory] = []

    def open_memory() -> Memory:
        if not memory:
            memory.append(Memory(home))
        return memory[0]

    def forget(memory_id: str) -> Any:
        return open_memory().forget([memory_id])

    place = Place(home, work, (work,), open_memory, forget, timeout_s=5.0, memory_mib=512)
    yield Yard(root, work, person, outside, home, place)
    for opened in memory:
        opened.close()
