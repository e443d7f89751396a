"""What the open app begins by itself where the settings say so: heartbeat rounds, nightly reviews, retrainings."""

import os
import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

from molting_agent.alone_log import Deed, deeds, write_deed
from molting_agent.heartbeat import is_due, last_round
from molting_agent.nightly import is_due as is_night_due
from molting_agent.nightly import proposes, run_night
from molting_agent.ui.background import in_background

if TYPE_CHECKING:
    from molting_agent.ui.app import MoltingApp

LOOK_S = 30.0
IDLE_S = 300.0
"""Nobody has written or been answered for so long before a retraining begins by itself."""
NICENESS = 10


class Alone:
    """Looks around every half minute; whatever the person does comes first."""

    def __init__(self, app: "MoltingApp") -> None:
        self.app = app
        self.touched_at = time.monotonic()
        """When the person last did something."""
        self.working = False
        self._tried = 0
        """The number of new replies at the last retraining begun here; it is not begun twice over the same ones."""
        self._counted = (0, 0, 0)
        """Where memory and molts stood when replies were counted last: counting reads all conversations."""

    def touch(self) -> None:
        """The person did something."""
        self.touched_at = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """He speaks, learns, or somebody is writing to him."""
        chat = self.app.chat
        return self.working or chat.turns.busy or self.app.training.running or bool(chat.prompt.text)

    def look(self) -> None:
        """Begin what is due, one thing at a time."""
        config = self.app.config
        if config is None or not self.app.ready or self.is_busy:
            return
        is_idle = self._is_idle()
        if config.heartbeat.on or (config.memory.nightly and is_idle):
            self.working = True
            in_background(
                self.app,
                lambda: self._heartbeat() or (self._night() if is_idle else []),
                then=self._told,
                failed=self._failed,
            )
        elif config.retrain.after_new and is_idle:
            self._look_for_new()

    def _heartbeat(self) -> list[Deed]:
        """A round in a process of its own, if one is due. For a thread."""
        config, home = self.app.config, self.app.home
        now = datetime.now().astimezone()
        if config is None or not is_due(config.heartbeat, last_round(home), now):
            return []
        before = len(deeds(home, limit=10_000))
        command = [sys.executable, "-P", "-m", "molting_agent", "heartbeat", "--home", str(home.root)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, preexec_fn=_gently
        )
        if done.returncode:
            return [write_deed(home, "skipped", "", done.stderr.strip() or f"exit code {done.returncode}", now)]
        return deeds(home, limit=10_000)[before:]

    def _night(self) -> list[Deed]:
        """The consolidation of this night, if it is due. For a thread."""
        config, agent, now = self.app.config, self.app.agent, datetime.now().astimezone()
        if config is None or agent is None or not config.memory.nightly or not is_night_due(self.app.home, now):
            return []
        return run_night(self.app.home, agent.memory, now)

    async def _told(self, found: list[Deed]) -> None:
        self.working = False
        for deed in found:
            if deed.kind == "heartbeat" and deed.text != "nothing to say":
                await self.app.chat.note(f"By himself, {deed.about}: {deed.text}")
            elif proposes(deed):
                await self.app.chat.note(f"By himself: {deed.text}.")
        config = self.app.config
        if not found and config is not None and config.retrain.after_new and self._is_idle() and not self.is_busy:
            self._look_for_new()

    async def _failed(self, line: str) -> None:
        self.working = False
        await self.app.chat.note(line, "warning")

    def _is_idle(self) -> bool:
        """Nobody is there, and the machine has nothing else to do."""
        cores = os.cpu_count() or 1
        return time.monotonic() - self.touched_at > IDLE_S and os.getloadavg()[0] < cores / 2

    def _look_for_new(self) -> None:
        agent, config = self.app.agent, self.app.config
        if agent is None or config is None:
            return
        if (stood := self._stands()) == self._counted:
            return
        self.working = True

        async def counted(new: int) -> None:
            self.working = False
            self._counted = stood
            if self.is_busy:
                self._counted = (0, 0, 0)  # a person came back meanwhile: once more when they are gone
                return
            if new < config.retrain.after_new or new == self._tried:
                return
            self._tried = new
            words = f"began a retraining: {new} new replies to learn from"
            write_deed(self.app.home, "retraining", "", words, datetime.now().astimezone())
            await self.app.chat.note(f"By himself: {words}. /log keeps it.")
            await self.app.training.start(None)

        in_background(self.app, lambda: agent.learnable().new, then=counted, failed=self._failed)

    def _stands(self) -> tuple[int, int, int]:
        """Changes whenever a reply, a verdict on one, or a molt comes."""
        home, times = self.app.home, []
        for path in (home.db_file, home.db_file.with_name(f"{home.db_file.name}-wal"), home.molts_dir):
            try:
                times.append(path.stat().st_mtime_ns)
            except OSError:
                times.append(1)
        return times[0], times[1], times[2]


def _gently() -> None:
    os.nice(NICENESS)
