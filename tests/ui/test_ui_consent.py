"""The question before an act: exactly what will be done, no under the cursor, and a stopped turn is a no."""

import threading
from typing import Any

from molting_agent.tools.acting import Proposal
from molting_agent.ui.screens.confirm import Confirm


async def answer(stage: Any, *keys: str, stop: bool = False) -> str:
    """What the turn's thread gets when the person presses ``keys``."""
    given: list[str] = []
    async with stage() as s:
        await s.until(lambda: s.app.ready)
        proposal = Proposal("write_file", "write the new file /w/x.txt with:\nhi [bold]there[/]")
        thread = threading.Thread(target=lambda: given.append(s.chat.turns.ask(proposal)))
        thread.start()
        await s.until(lambda: isinstance(s.app.screen, Confirm))
        assert s.app.screen.text == proposal.action
        if stop:
            s.chat.turns.busy = True
            s.chat.turns.stop()
            s.chat.turns.busy = False
        await s.pilot.press(*keys)
        await s.until(lambda: given)
        thread.join()
    return given[0]


async def test_enter_alone_does_nothing(stage: Any) -> None:
    assert await answer(stage, "enter") == "no"


async def test_escape_is_a_no(stage: Any) -> None:
    assert await answer(stage, "escape") == "no"


async def test_once_and_always_have_to_be_chosen(stage: Any) -> None:
    assert await answer(stage, "down", "enter") == "once"
    assert await answer(stage, "down", "down", "enter") == "session"


async def test_a_stopped_turn_is_a_no(stage: Any) -> None:
    assert await answer(stage, stop=True) == "no"


async def test_the_tools_are_listed(stage: Any) -> None:
    async with stage() as s:
        await s.until(lambda: s.app.ready)
        s.agent.config = type("C", (), {"tools": type("T", (), {"enabled": ("read_file",)})})
        await s.ask("/tools")
        await s.until(lambda: s.notes)
        assert "read_file      runs at once: Read a text file." in s.notes[-1]
        assert "write_file     off" in s.notes[-1]
