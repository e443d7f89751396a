"""What the open app begins by itself: only where it is turned on, only when nobody is there, and nothing twice."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from molting_agent.alone_log import deeds
from molting_agent.config import Config, HeartbeatSettings, MemorySettings, RetrainSettings

AFTER_FOUR = Config(memory=MemorySettings(nightly=False), retrain=RetrainSettings(after_new=4))


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molting_agent.ui.alone.IDLE_S", -1.0)
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))


async def looked(s: Any) -> None:
    """He looks around once, and what he began is over."""
    s.app.alone.look()
    await s.until(lambda: not s.app.alone.working)


async def test_a_retraining_begins_by_itself_and_not_twice_over_the_same_replies(stage: Any) -> None:
    async with stage() as s:
        s.app.config = AFTER_FOUR
        counts: list[int] = []
        s.agent.learnable = lambda: counts.append(1) or SimpleNamespace(new=new)
        new = 3
        await looked(s)
        assert s.trainings.started == []
        await looked(s)
        assert len(counts) == 1, "nothing was said since; counting reads all conversations"
        new = 4
        s.app.home.db_file.write_bytes(b"grown")
        await looked(s)
        await s.until(lambda: s.trainings.runs)
        assert s.notes[0] == "By himself: began a retraining: 4 new replies to learn from. /log keeps it."
        assert [deed.kind for deed in deeds(s.app.home)] == ["retraining"]
        await looked(s)
        s.trainings.runs[0].code = 10
        await s.until(lambda: not s.app.training.running)
        s.app.home.db_file.write_bytes(b"grown again")
        await looked(s)
        assert len(s.trainings.runs) == 1, "it was rejected, and there is nothing new"


async def test_nothing_begins_while_the_person_is_there(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as s:
        s.app.config = AFTER_FOUR
        s.agent.learnable = lambda: SimpleNamespace(new=9)
        s.chat.prompt.put("a draft")
        await looked(s)
        s.chat.prompt.put("")
        monkeypatch.setattr("molting_agent.ui.alone.IDLE_S", 300.0)
        await s.pilot.press("x")
        s.chat.prompt.put("")
        await looked(s)
        monkeypatch.setattr("molting_agent.ui.alone.IDLE_S", -1.0)
        monkeypatch.setattr("os.getloadavg", lambda: (64.0, 0.0, 0.0))
        await looked(s)
        assert s.trainings.started == []


async def test_off_is_off(stage: Any) -> None:
    async with stage() as s:
        s.app.config = Config(memory=MemorySettings(nightly=False))
        s.app.alone.look()
        assert not s.app.alone.working
        assert deeds(s.app.home) == []


async def test_the_night_proposes_what_was_said_once(real: Any) -> None:
    async with real() as s:
        await s.ask("My sister Marta lives in Porto and keeps the spare key.")
        await looked(s)
        assert s.notes[-1].startswith("By himself: found 1 sentence of yours that may be worth keeping")
        await s.ask("/log")
        assert "memory      found 1 sentence" in s.notes[-1]
        count = len(s.notes)
        await looked(s)
        assert len(s.notes) == count
        assert [deed.kind for deed in deeds(s.app.home)] == ["memory"]


async def test_the_night_can_be_turned_off(real: Any) -> None:
    async with real() as s:
        s.app.config = Config(memory=MemorySettings(nightly=False))
        await looked(s)
        assert deeds(s.app.home) == []


async def test_a_round_of_the_heartbeat_is_a_process_of_its_own(real: Any) -> None:
    async with real() as s:
        hour = datetime.now().astimezone().hour
        always = HeartbeatSettings(on=True, from_hour=hour, to_hour=(hour + 2) % 24 or 24)
        s.app.config = Config(heartbeat=always)
        await looked(s)  # the list is empty, which costs no model
        assert [(deed.kind, deed.text) for deed in deeds(s.app.home)][:1] == [("skipped", "HEARTBEAT.md is empty")]
        count = len(deeds(s.app.home))
        s.app.config = Config(heartbeat=always, memory=MemorySettings(nightly=False))
        await looked(s)
        assert len(deeds(s.app.home)) == count, "the next round is due in an hour"
