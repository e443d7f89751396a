"""The Help screen, made from the bindings and the command registry, so that it cannot be wrong about them."""

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from molting_agent.ui.commands.registry import commands
from molting_agent.ui.panel_screen import PanelScreen

KEY_NAMES = {"escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn", "delete": "Del"}


class HelpScreen(PanelScreen):
    """Keys by place, then the slash commands."""

    BINDING_GROUP_TITLE = "Help (F1)"
    AUTO_FOCUS = "#page"
    BINDINGS: ClassVar[list[BindingType]] = []

    def compose(self) -> ComposeResult:
        yield self.title_line("Help")
        with VerticalScroll(id="page"):
            for title, rows in self.groups():
                yield Static(Content.styled(title, "bold $accent"), classes="group")
                for key, meaning in rows:
                    with Horizontal(classes="row"):
                        yield Static(Content.styled(key, "$primary"), classes="key")
                        yield Static(Content(meaning))
        yield self.keys_line(("↑↓", "scroll"), ("Ctrl+P", "palette"), ("Esc", "back"))

    def groups(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Title and rows (key, meaning) of each group."""
        from molting_agent.ui.chat import ChatScreen
        from molting_agent.ui.editor import Editor
        from molting_agent.ui.memories import MemoryScreen
        from molting_agent.ui.molts import MoltsScreen
        from molting_agent.ui.prompt import Prompt
        from molting_agent.ui.reply_block import ReplyBlock
        from molting_agent.ui.sessions import SessionsScreen

        slash = [(command.usage, command.summary) for command in commands().values()]
        places: list[Any] = [
            Prompt,
            ChatScreen,
            ReplyBlock,
            type(self.app),
            MemoryScreen,
            MoltsScreen,
            SessionsScreen,
            Editor,
        ]
        keys = [(str(place.BINDING_GROUP_TITLE), binding_rows(place)) for place in places]
        return [*keys[:4], ("Commands, typed into the prompt", slash), *keys[4:]]


def binding_rows(place: Any) -> list[tuple[str, str]]:
    """The named bindings of a class and of its own bases (those that have an id), in order."""
    rows: dict[str, tuple[str, str]] = {}
    for kind in reversed(place.__mro__):
        for binding in kind.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id and binding.description:
                rows[binding.id] = (key_text(binding), binding.description)
    return list(rows.values())


def key_text(binding: Binding) -> str:
    """``Ctrl+J``, or the key as the binding itself displays it; the first one where several do the same."""
    if binding.key_display:
        return binding.key_display
    parts = binding.key.split(",")[0].split("+")
    return "+".join(
        KEY_NAMES.get(part, part.capitalize() if len(part) > 1 or len(parts) > 1 else part) for part in parts
    )
