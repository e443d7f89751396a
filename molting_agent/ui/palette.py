"""The slash commands in the command palette (Ctrl+P)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from molting_agent.ui.commands.registry import Command, commands

if TYPE_CHECKING:
    from molting_agent.ui.app import MoltingApp


class SlashCommands(Provider):
    """Runs a command; one that needs an argument is put into the prompt instead."""

    def _run(self, command: Command) -> Callable[[], None]:
        app = cast("MoltingApp", self.app)

        def run() -> None:
            while app.screen is not app.chat and len(app.screen_stack) > 1:
                app.pop_screen()
            prompt = app.chat.prompt
            if command.needs_argument:
                prompt.put(f"/{command.name} ")
                prompt.focus()
            else:
                app.chat.run_worker(command.run(app.chat, ""), exit_on_error=False)

        return run

    async def discover(self) -> Hits:
        for command in commands().values():
            yield DiscoveryHit(command.usage, self._run(command), help=command.summary)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in commands().values():
            score = matcher.match(f"{command.usage} {command.summary}")
            if score > 0:
                yield Hit(score, matcher.highlight(command.usage), self._run(command), help=command.summary)
