"""Fixtures of the interface's tests: an empty home, an app with a made agent, and waiting for a condition."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_agent import FakeAgent, training_kind
from real_stage import real  # noqa: F401 - a fixture
from stage import Stage

from memory.home import Home
from molting_agent.ui.app import MoltingApp

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
