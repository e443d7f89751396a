"""Makes the pictures of docs/screens.md: the real app over the demo's home, with the model that ships (a minute).

python docs/make_pictures.py
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from memory.home import Home
from molting_agent.commands.demo import furnish
from molting_agent.config import load_config
from molting_agent.ui.app import MoltingApp

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "screens"
SIZE = (100, 30)
PATIENCE_S = 300
QUESTIONS = ("when do the backups run?", "and what is the disk called?")


class Camera:
    """The running app, and where its pictures go."""

    def __init__(self, app: MoltingApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    async def until(self, condition: Callable[[], object], what: str) -> None:
        for _ in range(PATIENCE_S * 10):
            if condition():
                await self.pilot.pause(0.3)
                return
            await self.pilot.pause(0.1)
        raise SystemExit(f"{what} never came:\n{self.text}")

    async def see(self, words: str) -> None:
        await self.until(lambda: words in self.text, words)

    async def take(self, name: str) -> None:
        await self.pilot.pause(0.5)
        (PICTURES / f"{name}.svg").write_text(self.app.export_screenshot(title="Molting"), encoding="utf-8")

    async def screen(self, key: str, words: str, name: str) -> None:
        """Open a screen by its key, wait for its content, take it."""
        await self.pilot.press(key)
        await self.see(words)
        await self.take(name)


async def tour(camera: Camera) -> None:
    """One screen after the other."""
    app, pilot = camera.app, camera.pilot
    await camera.until(lambda: app.ready and app.agent is not None and app.agent.indexing is None, "awake")
    for question in QUESTIONS:
        app.chat.prompt.put(question)
        await pilot.press("enter")
        await camera.until(lambda: app.chat.turns.busy, "a turn")
        await camera.until(lambda: not app.chat.turns.busy, "a reply")
    await pilot.press("alt+up")
    await camera.take("chat")
    await pilot.press("escape", "f2")
    await camera.see("your own entries first")
    app.screen.query_one(Input).value = "Baleia"
    await camera.see("for this question")
    await pilot.press("ctrl+o")
    await camera.see(">")
    await camera.take("memory")
    await camera.screen("f3", "held-out text", "molts")
    await pilot.press("f4")
    await camera.see("conversations")
    app.screen.query_one(Input).value = "disk"
    await camera.see("places")
    await camera.take("sessions")
    await pilot.press("f5")
    await camera.until(lambda: bool(app.screen.query(Input)), "the ingest screen")
    app.screen.query_one(Input).value = "old-logs"
    await camera.screen("enter", "Nothing was changed yet", "ingest")
    await camera.screen("f6", "he reads it", "identity")
    await camera.screen("f7", "default", "settings")
    await camera.screen("f1", "Writing", "help")
    await pilot.press("escape")
    app.choice.open(1)
    await camera.see("Who are you?")
    await camera.take("ceremony")


async def photograph(home: Home) -> None:
    """Run the app without a terminal and go round."""
    app = MoltingApp(home, load_config(home))
    try:
        async with app.run_test(size=SIZE) as pilot:
            await tour(Camera(app, pilot))
    finally:
        if app.agent is not None:
            app.agent.close()


def main() -> None:
    """A home under a relative name, so that no picture shows where it was made."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        shutil.copytree(ROOT / "tests" / "fixtures" / "claudio", "old-logs")
        home = Home(Path("claudio"))
        furnish(home)
        asyncio.run(photograph(home))
        os.chdir(ROOT)


if __name__ == "__main__":
    main()
