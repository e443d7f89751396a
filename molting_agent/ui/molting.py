"""The choice after a retraining: the swap is held until the person has compared old and new, or lets it be."""

from typing import TYPE_CHECKING

from distill import diary
from distill.progress import EXIT_PROMOTED
from molting_agent.ceremony import Ceremony, ceremony, name_of
from molting_agent.ui.background import in_background

if TYPE_CHECKING:
    from molting_agent.events import Event
    from molting_agent.ui.app import MoltingApp


class Choice:
    """At most one molt waits to be chosen; ``waiting`` is its number, 0 for none."""

    def __init__(self, app: "MoltingApp") -> None:
        self.app = app
        self.waiting = 0

    def hold(self) -> None:
        """A retraining is under way: what it promotes waits for the person."""
        if self.app.agent is not None:
            self.app.agent.hold_swap(True)

    def release(self) -> None:
        """Whatever is promoted may speak from the next turn on."""
        self.waiting = 0
        if self.app.agent is not None:
            self.app.agent.hold_swap(False)

    async def ended(self, code: int, number: int) -> None:
        """The retraining ended: compare at once where that disturbs nobody, else when /ceremony is typed."""
        if code != EXIT_PROMOTED or not number:
            self.release()
            return
        self.waiting = number
        chat = self.app.chat
        if self.app.screen is chat and not chat.prompt.text and not chat.turns.busy and chat.conversation.following:
            self.open(number, quiet=True)
        else:
            await chat.note(
                f"{name_of(number).capitalize()} waits: /ceremony compares it with the one that speaks, and you "
                "choose. Leave it, and it speaks from the next start on.",
                "swap",
            )

    def open(self, number: int, *, quiet: bool = False) -> None:
        """Show the ceremony of a molt; without a report there is nothing to compare, which ``quiet`` does not say."""
        agent = self.app.agent
        if agent is None:
            return

        async def failed(line: str) -> None:
            if not quiet:
                await self.app.chat.note(line, "warning")
            if number == self.waiting:
                self.release()

        in_background(self.app, lambda: ceremony(agent.registry, number), then=self._show, failed=failed)

    def _show(self, shown: Ceremony) -> None:
        from molting_agent.ui.screens.ceremony import CeremonyScreen

        if not self.app.screen.is_modal:
            self.app.push_screen(CeremonyScreen(shown), lambda answer: self._chosen(shown, answer or ""))

    def _chosen(self, shown: Ceremony, answer: str) -> None:
        waits = shown.new == self.waiting
        if not answer:
            if waits:
                self.app.chat.toast("/ceremony opens it again.")
            return
        agent = self.app.agent
        assert agent is not None  # noqa: S101 - the ceremony was read by him
        kept = shown.new if answer == "new" else shown.old
        self.waiting = 0

        def work() -> "list[Event]":
            speaks = agent.registry.champion(agent.model.source_sha256) if agent.model else None
            if (speaks.number if speaks else 0) != kept:
                agent.registry.promote(kept, agent.model.source_sha256 if agent.model else "")
            diary.write(
                agent.home.root,
                f"Shown both, the person kept {name_of(kept)} over "
                f"{name_of(shown.old if answer == 'new' else shown.new)}.",
            )
            agent.hold_swap(False)  # not before the registry says who was kept
            with self.app.chat.turns.lock:
                return list(agent.poll_swap())

        async def done(events: "list[Event]") -> None:
            if not events:
                await self.app.chat.note(f"{name_of(kept).capitalize()} goes on speaking.", "swap")
            await self.app.chat.show_events(events)

        in_background(self.app, work, then=done, failed=lambda line: self.app.chat.note(line, "error"))
