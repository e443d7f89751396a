"""Every screen at three sizes, as text that can be read in review (``snapshots/``; MOLTING_RENEW=1 writes it anew)."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_agent import progress_of, training_kind
from real_stage import LexicalMemory, write_molt
from screen_snapshots import FOLDER, compare
from stage import Stage
from textual.widgets import Input

from distill.registry import Registry
from memory.home import Home
from molting_agent.agent import Agent
from molting_agent.commands.demo import furnish
from molting_agent.config import Config
from molting_agent.events import ToolFinished
from molting_agent.first_run import FoundLogs, Machine
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import EMBEDDED_SHA256
from molting_agent.tools.results import ToolUse
from molting_agent.ui.app import MoltingApp
from molting_agent.ui.screens.first_run import FirstRunScreen

SIZES = [(60, 20), (80, 24), (200, 60)]
REPLY = "No. About **12 percent** is free, and our line is 15:\n\n- the photos took 40 GB;\n- `df -h` agrees."
REPORT = """# Molt {}: promoted

- held-out text is better: 1.400 -> 1.300 bits per byte
- general knowledge is not significantly worse

| measured (95 % interval) | champion | candidate |
|---|---|---|
| held-out bits per byte | 1.400 (1.3 to 1.5) | 1.300 (1.2 to 1.4) |
| right answers, % | 54 (50 to 58) | 56 (52 to 60) |
"""
QUESTION = "is the backup disk ok for tonight?"


@pytest.fixture
def demo_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The demo's home under a relative path, so that the same words stand on the screen everywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr("molting_agent.ui.app.TICK_S", 0.1)
    monkeypatch.setattr("memory.api.Memory.warm", lambda _self: None)
    home = Home(Path("claudio"))
    furnish(home)
    shutil.rmtree(home.molts_dir)
    for number in (1, 7):
        write_molt(home, number)
        folder = Registry(home.molts_dir).folder(number)
        (folder / "report.md").write_text(REPORT.format(number))
        report = json.loads((folder / "report.json").read_text())
        (folder / "report.json").write_text(json.dumps({**report, "training": {"losses": [3.6, 3.1, 2.9, 2.6, 2.7]}}))
        Registry(home.molts_dir).promote(number, EMBEDDED_SHA256)
    (home.identity_dir / "SOUL.md").open("a").write("- I name the boats.\n")
    logs = Path("logs")
    logs.mkdir()
    (logs / "a.jsonl").write_text('{"messages": [{"role": "user", "content": "hi"}]}\n')
    return home


async def tour(s: Any) -> AsyncIterator[str]:
    """Every screen, one after the other; the name of each when it is there."""

    async def seen(words: str, key: str = "") -> None:
        if key:
            await s.pilot.press(key)
        await s.until(lambda: words in s.screen_text(), words)
        await s.pilot.pause(0.05)

    async def back() -> None:
        await s.pilot.press("escape")
        await s.until(lambda: s.app.screen is s.chat)

    yield "welcome"
    await s.type("/me")
    await seen("/memory")
    yield "commands"
    s.chat.prompt.clear()
    await s.ask(QUESTION)
    await s.chat.show_event(ToolFinished(ToolUse("t1", "list_folder", {"path": "photos"}, "ferry.jpg\ngauge.png")))
    await s.ask("/remember The new disk is called Golfinho.")
    await s.until(lambda: any("Golfinho" in note for note in s.notes))
    s.app.agent._show(tokens_per_s=38.0)
    await s.app.training.start(None)
    await s.until(lambda: s.app.training.run is not None)
    s.app.training.run.now = progress_of()
    await seen("62%")
    s.chat.query("Toast").remove()
    yield "chat"
    await s.pilot.press("alt+up", "alt+up", "alt+up", "alt+up")
    await s.until(lambda: s.replies[0].has_focus)
    await seen("▾", "enter")
    yield "reply"
    await s.pilot.press("escape", "f1")
    await seen("Writing")
    yield "help"
    await seen("your own entries first", "f2")
    yield "memory"
    s.app.screen.query_one(Input).value = "Baleia"
    await seen("for this question")
    await seen("trust", "down")
    await seen("> ", "ctrl+o")
    yield "memory-source"
    await seen("Forget this memory", "ctrl+d")
    yield "question"
    await s.pilot.press("escape")
    await seen("What stands in", "ctrl+e")
    yield "editor"
    await s.pilot.press("escape")
    await seen("held-out text", "f3")
    yield "molts"
    await seen("23 conversations", "f4")
    s.app.screen.query_one(Input).value = "pharmacy"
    await seen("place")
    yield "sessions"
    await s.pilot.press("f5")
    await s.until(lambda: s.app.screen.query_one(Input).has_focus)
    await s.type("logs")
    await seen("Nothing was changed yet", "enter")
    yield "ingest"
    await seen("words; he reads it", "f6")
    yield "identity"
    await seen("name the boats", "d")
    yield "identity-changes"
    await seen("default", "f7")
    yield "settings"
    await back()
    s.app.choice.open(7)
    await seen("Question 0?")
    yield "ceremony"
    await back()
    await seen("What you asked before", "ctrl+r")
    yield "history"
    await back()
    s.app.push_screen(FirstRunScreen("Cláudio", Machine(2, 16 * 10**9), [FoundLogs(Path("~/.claude/projects"), 55)]))
    await seen("moves in")
    yield "first-run"


NAMES = [
    "welcome",
    "commands",
    "chat",
    "reply",
    "help",
    "memory",
    "memory-source",
    "question",
    "editor",
    "molts",
    "sessions",
    "ingest",
    "identity",
    "identity-changes",
    "settings",
    "ceremony",
    "history",
    "first-run",
]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_is_as_it_was_reviewed(demo_home: Home, size: tuple[int, int]) -> None:
    agents: list[Agent] = []

    def make() -> Agent:
        memory = LexicalMemory(demo_home)
        memory.sync()
        agents.append(Agent(demo_home, Config(), memory=memory, open_engine=lambda _model, _adapter: EchoEngine(REPLY)))
        return agents[0]

    app = MoltingApp(demo_home, Config(), make_agent=make, retraining=training_kind())
    differences, names = [], []
    try:
        async with app.run_test(size=size) as pilot:
            s = Stage(app, pilot, None, None)  # type: ignore[arg-type]
            await s.until(lambda: app.ready, "ready")
            async for name in tour(s):
                names.append(name)
                differences.append(compare(f"{name}-{size[0]}x{size[1]}", s.screen_text()))
    finally:
        for agent in agents:
            agent.close()
    assert names == NAMES
    assert not any(differences), "\n\n".join(filter(None, differences))


def test_no_kept_screen_is_left_over() -> None:
    kept = {path.stem for path in FOLDER.glob("*.txt")}
    assert kept == {f"{name}-{width}x{height}" for name in NAMES for width, height in SIZES}


def test_no_line_is_longer_than_its_terminal() -> None:
    for path in FOLDER.glob("*.txt"):
        width = int(path.stem.rpartition("-")[2].partition("x")[0])
        assert all(len(line) <= width for line in path.read_text(encoding="utf-8").splitlines()), path.name
