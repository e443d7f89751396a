"""The list of slash commands that opens above the prompt while one is typed."""

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from molting_agent.ui.commands.registry import Command, matching


class SlashHints(OptionList, can_focus=False):
    """Shows the commands that begin with what was typed; the prompt keeps the focus and steers it."""

    def __init__(self) -> None:
        super().__init__(id="hints", compact=True)
        self.display = False
        self.commands: list[Command] = []

    def follow(self, text: str) -> bool:
        """Show what fits ``text``; True while the list is open."""
        self.commands = matching(text)
        self.display = bool(self.commands)
        if self.commands:
            width = max(len(command.usage) for command in self.commands) + 3
            options = []
            for command in self.commands:
                pad = " " * (width - len(command.usage))
                options.append(
                    Option(Content.assemble((command.usage, "$primary"), pad, (command.summary, "$foreground-muted")))
                )
            self.set_options(options)
            self.highlighted = 0
        return self.display

    @property
    def chosen(self) -> Command | None:
        """The command under the cursor."""
        return self.commands[self.highlighted] if self.commands and self.highlighted is not None else None

    def close(self) -> None:
        """Hide the list."""
        self.display = False
        self.commands = []
