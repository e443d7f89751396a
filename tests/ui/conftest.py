"""Fixtures of the interface's tests: an empty home, an app with a made agent, and waiting for a condition."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_agent import FakeAgent, training_kind
from textual.pilot import Pilot

from memory.home import Home
from molting_agent.ui.app import MoltingApp


class Stage:
    """A running app with everything a test wants to hold."""

    def __init__(self, app: MoltingApp, pilot: Pilot[int], agent: FakeAgent, trainings: Any) -> None:
        self.app = app
        self.pilot = pilot
        self.agent = agent
        self.trainings = trainings

    @property
    def chat(self) -> Any:
        return self.app.chat

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Let the app work until the condition holds; fail after ten seconds."""
        for _ in range(500):
            if condition():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"never happened: {what or condition}; notes: {self.notes}")

    async def type(self, text: str) -> None:
        """Press the keys of a text."""
        names = {" ": "space", "/": "slash", "\n": "ctrl+j"}
        await self.pilot.press(*[names.get(letter, letter) for letter in text])

    async def ask(self, text: str) -> None:
        """Send a question or command and wait until he is silent again."""
        self.chat.prompt.put(text)
        await self.pilot.pause()
        self.chat.prompt.action_send()
        await self.pilot.pause()
        await self.until(lambda: not self.chat.turns.busy)

    @property
    def notes(self) -> list[str]:
        """The texts of the app's own lines."""
        return [block.text for block in self.chat.conversation.blocks if block.has_class("note")]

    @property
    def replies(self) -> list[Any]:
        return [block for block in self.chat.conversation.blocks if block.has_class("reply")]

    @property
    def questions(self) -> list[Any]:
        return [block for block in self.chat.conversation.blocks if block.has_class("user")]


Open = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make_folders()
    return home


@pytest.fixture
def stage(home: Home, monkeypatch: pytest.MonkeyPatch) -> Open:
    """``async with stage(agent=…, size=…) as s``; the app looks around ten times a second, so no test waits long."""
    monkeypatch.setattr("molting_agent.ui.app.TICK_S", 0.1)

    @asynccontextmanager
    async def opened(
        agent: Any = None, *, trainings: Any = None, size: tuple[int, int] = (100, 30), ready: bool = True
    ) -> AsyncIterator[Stage]:
        agent = agent or FakeAgent()
        trainings = trainings or training_kind()
        app = MoltingApp(home, make_agent=lambda: agent, retraining=trainings)
        async with app.run_test(size=size) as pilot:
            s = Stage(app, pilot, agent, trainings)
            if ready:
                await s.until(lambda: app.ready, "ready")
            try:
                yield s
            finally:
                agent.stop()

    return opened
