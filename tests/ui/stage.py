"""A running app in a test, with everything a test wants to hold."""

from collections.abc import Callable
from typing import Any

from fake_agent import FakeAgent
from textual.pilot import Pilot

from molting_agent.ui.app import MoltingApp


class Stage:
    """A running app with everything a test wants to hold."""

    def __init__(self, app: MoltingApp, pilot: Pilot[int], agent: FakeAgent, trainings: Any) -> None:
        self.app = app
        self.pilot = pilot
        self.agent = agent
        self.trainings = trainings
        self.engine: Any = None

    @property
    def chat(self) -> Any:
        return self.app.chat

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Let the app work until the condition holds; fail after half a minute."""
        for _ in range(1500):
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

    def screen_text(self) -> str:
        """What stands on the screen, row by row, without colours."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

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
