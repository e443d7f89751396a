"""The list that opens above the prompt: slash commands while one is typed, files after an ``@``."""

from pathlib import Path

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from molting_agent.clean import clean_line
from molting_agent.ui.attachments import files_below, mention_at
from molting_agent.ui.attachments import matching as matching_files
from molting_agent.ui.commands.registry import Command, matching


class SlashHints(OptionList, can_focus=False):
    """Shows the commands that begin with what was typed; the prompt keeps the focus and steers it."""

    def __init__(self) -> None:
        super().__init__(id="hints", compact=True)
        self.display = False
        self.commands: list[Command] = []
        self.files: list[str] = []
        self._known: list[str] | None = None

    def follow(self, text: str) -> bool:
        """Show what fits ``text``, a command or a file after ``@``; True while the list is open."""
        self.commands = matching(text)
        self.files = self._files(text)
        self.display = bool(self.commands or self.files)
        if self.files:
            self.set_options([Option(Content(clean_line(name))) for name in self.files])
            self.highlighted = 0
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

    @property
    def file(self) -> str:
        """The file under the cursor; "" while commands are shown."""
        return self.files[self.highlighted] if self.files and self.highlighted is not None else ""

    def _files(self, text: str) -> list[str]:
        """Files below the current folder that fit what is typed after an ``@``; the folder is read once a mention."""
        query = mention_at(text)
        if query is None:
            self._known = None
            return []
        if self._known is None:
            self._known = files_below(Path.cwd())
        return matching_files(query, self._known)

    def close(self) -> None:
        """Hide the list."""
        self.display = False
        self.commands = []
        self.files = []
