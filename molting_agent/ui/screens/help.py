"""The Help screen, made from the bindings and the command registry, so that it cannot be wrong about them."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from molting_agent.ui.commands.registry import commands
from molting_agent.ui.keys import bindings_of, key_text, places
from molting_agent.ui.screens.panel import PanelScreen

Row = tuple[str, str, str]
KEY_CELLS = 22


class HelpScreen(PanelScreen):
    """Keys by place, with the names they have in ``[keys]`` of config.toml, then the slash commands."""

    BINDING_GROUP_TITLE = "Help (F1)"
    AUTO_FOCUS = "#page"
    BINDINGS: ClassVar[list[BindingType]] = []

    def compose(self) -> ComposeResult:
        yield self.title_line("Help")
        with VerticalScroll(id="page"):
            for title, rows in self.groups():
                yield Static(Content.styled(title, "bold $accent"), classes="group")
                yield Static(Content("\n").join([row_line(row) for row in rows]))
        yield self.keys_line(("↑↓", "scroll"), ("Ctrl+P", "palette"))

    def groups(self) -> list[tuple[str, list[Row]]]:
        """Title and rows (key or command, meaning, binding id) of each group."""
        slash: list[Row] = [(command.usage, command.summary, "") for command in commands().values()]
        keys = self.molting.keys
        groups = [
            (
                str(place.BINDING_GROUP_TITLE),
                [(key_text(binding, keys), binding.description, str(binding.id)) for binding in bindings_of(place)],
            )
            for place in places()
        ]
        return [*groups[:4], ("Commands, typed into the prompt", slash), *groups[4:]]


def row_line(row: Row) -> Content:
    """``Ctrl+J                New line   prompt.new_line``; one text a group, since hundreds of widgets open slowly."""
    key, meaning, name = row
    return Content.assemble(
        (f"{key:<{KEY_CELLS}}", "$primary"), meaning, (f"   {name}" if name else "", "$foreground-disabled")
    )
