"""The first run in the app: answered, looked around, or waved off; and what he does alone, seen in the app."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList, Static

from molting_agent.alone_log import write_deed
from molting_agent.first_run import MET
from molting_agent.ui.greeting import greet
from molting_agent.ui.screens.first_run import FirstRunScreen
from molting_agent.ui.screens.ingest import IngestScreen


async def greeted(s: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    (s.app.home.root / MET).unlink()
    greet(s.app)
    await s.until(lambda: isinstance(s.app.screen, FirstRunScreen))


async def test_name_and_language_reach_him_with_the_first_question(
    real: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with real() as s:
        await greeted(s, tmp_path, monkeypatch)
        await s.type("Ana")
        await s.pilot.press("enter")
        await s.type("portugues")
        await s.pilot.press("enter", "enter")
        await s.until(lambda: any("USER.md" in note for note in s.notes))
        await s.ask("hello")
        assert (s.app.home.root / MET).exists()
        assert "Call them: Ana" in s.app.agent._the_window().system
        assert "Speaks: portugues" in s.app.agent._the_window().system


async def test_logs_that_are_here_are_looked_at_and_not_read(
    real: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / ".claude" / "projects"
    logs.mkdir(parents=True)
    (logs / "a.jsonl").write_text('{"messages": [{"role": "user", "content": "where is the quokka"}]}\n')
    async with real() as s:
        await greeted(s, tmp_path, monkeypatch)
        assert s.app.screen.query_one(OptionList).option_count == 2
        await s.pilot.press("enter", "enter", "down", "enter")
        await s.until(lambda: isinstance(s.app.screen, IngestScreen))
        await s.until(lambda: "Nothing was changed yet" in str(s.app.screen.query_one("#said", Static).render()))
        assert s.app.agent.memory.recall("quokka") == []


async def test_all_questions_can_be_waved_off_and_are_not_asked_again(
    real: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with real() as s:
        before = (s.app.home.identity_dir / "USER.md").read_text()
        await greeted(s, tmp_path, monkeypatch)
        s.app.screen.query_one("#name", Input).value = "Ana"
        await s.pilot.press("escape")
        await s.until((s.app.home.root / MET).exists)
        assert (s.app.home.identity_dir / "USER.md").read_text() == before
        greet(s.app)
        await s.pilot.pause(0.2)
        assert s.app.screen is s.chat


async def test_the_log_shows_what_was_done_alone(real: Any) -> None:
    async with real() as s:
        await s.ask("/log")
        assert "nothing by himself" in s.notes[-1]
        write_deed(s.app.home, "heartbeat", "the backups", "all ran\x1b[2J", datetime(2026, 2, 8, 14, 3))
        await s.ask("/log")
        assert s.notes[-1] == "2026-02-08 14:03  heartbeat   the backups: all ran"
        (s.app.home.root / "HEARTBEAT.md").write_text("- the boiler\n")
        await s.ask("/heartbeat")
        assert s.notes[-1] == "It is off; F7 turns it on: heartbeat.on.\n- the boiler"
