"""Watches the training child for the app: start, poll each second, hold it while he speaks, say how it ended."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual.app import App

from memory.home import Home
from molting_agent.ui.background import in_background
from molting_agent.ui.status_text import TrainingState
from molting_agent.ui.training_text import can_resume, ending, training_state

if TYPE_CHECKING:
    from distill.progress import Progress
    from molting_agent.molt import Retraining

Say = Callable[[str, str], Awaitable[None]]


class TrainingWatch:
    """One retraining at most. ``say(text, kind)`` puts a line into the conversation."""

    def __init__(self, app: App[Any], home: Home, say: Say, *, retraining: "type[Retraining] | None" = None) -> None:
        self.app = app
        self.home = home
        self.say = say
        self.run: Retraining | None = None
        self.starting = False
        self.held = False
        self.paused = False
        """The person has paused it; a reply that ends does not set it going."""
        self.progress: Progress | None = None
        self.ended_at = 0.0
        self._kind = retraining

    @property
    def kind(self) -> "type[Retraining]":
        """The class that starts children, imported when it is first needed."""
        if self._kind is None:
            from molting_agent.molt import Retraining

            self._kind = Retraining
        return self._kind

    @property
    def running(self) -> bool:
        """A training is starting or under way."""
        return self.run is not None or self.starting

    @property
    def state(self) -> TrainingState | None:
        """For the status line; None when nothing runs."""
        return (
            training_state(self.progress, paused=self.held or self.paused, by_person=self.paused)
            if self.running
            else None
        )

    async def start(self, minutes: float | None, recipe: str = "") -> None:
        """Start a retraining, or go on from the checkpoint of one that was cut off, unless a ``recipe`` is named."""
        if self.running:
            await self.say("A retraining is under way already; /stop stops it.", "warning")
            return
        self.starting = True

        def work() -> "tuple[Retraining, bool]":
            from distill.progress import read_progress

            resume = not recipe and can_resume(read_progress(self.home.training_dir))
            return self.kind.start(self.home, minutes=minutes, resume=resume, recipe=recipe), resume

        async def started(result: "tuple[Retraining, bool]") -> None:
            self.run, resumed = result
            self.progress = None
            self.starting = False
            await self.say(
                "The retraining goes on from its checkpoint." if resumed else "Retraining started.", "information"
            )

        async def failed(line: str) -> None:
            self.starting = False
            await self.say(line, "error")

        in_background(self.app, work, then=started, failed=failed)

    def attach(self) -> None:
        """Find a retraining that went on while the app was closed. For a thread; safe to call when one runs."""
        if not self.running:
            self.run = self.kind.attach(self.home)

    def look(self) -> int | None:
        """Read the progress; the exit code once the child has ended. For a thread."""
        run = self.run
        if run is None:
            return None
        self.progress = run.progress() or self.progress
        return run.wait(0)

    async def ended(self, code: int) -> int:
        """The child is gone: say how it ended and forget it; gives the number of its molt, 0 when there is none."""
        run, self.run = self.run, None
        if run is None:
            return 0
        progress = run.progress() or self.progress
        self.ended_at = time.monotonic()
        self.held = self.paused = False
        text, kind = ending(code, progress, run.last_words())
        await self.say(text, kind)
        return progress.molt if progress else 0

    def hold(self) -> None:
        """Stop computing while he speaks; two processes on few cores would make him stutter."""
        if self.run is not None and not self.held:
            self.held = True
            self.run.pause()

    def toggle_pause(self) -> None:
        """Pause it until the person lets it go on."""
        if self.run is None:
            return
        self.paused = not self.paused
        if self.paused:
            self.run.pause()
        elif not self.held:
            self.run.go_on()

    def release(self) -> None:
        """Go on computing."""
        if self.run is not None and self.held and not self.paused:
            self.run.go_on()
        self.held = False

    def cancel(self) -> None:
        """Stop at the next step, with a checkpoint."""
        if self.run is not None:
            self.held = self.paused = False
            self.run.cancel()
