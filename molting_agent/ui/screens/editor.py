"""An editor over the screen, for a reply, a memory or an identity file."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from molting_agent.clean import clean


class Editor(ModalScreen[str]):
    """Gives the new text; "" when it was left or nothing was changed."""

    BINDING_GROUP_TITLE = "Editing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save what was edited", id="editor.save", priority=True),
        Binding("escape", "dismiss('')", "Leave it unchanged", id="editor.leave"),
    ]

    def __init__(
        self,
        text: str,
        title: str = "How should he have said it?",
        keys: str = "Ctrl+S saves, he learns from it    Esc leaves it",
    ) -> None:
        super().__init__()
        self.before = clean(text)
        self.question = clean(title)
        self.keys = keys

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large"):
            yield Static(self.question, classes="title", markup=False)
            yield TextArea(self.before, compact=True, highlight_cursor_line=False)
            yield Static(self.keys, classes="keys", markup=False)

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)
        area.focus()

    def action_save(self) -> None:
        """Keep the text if it says something else than before."""
        text = self.query_one(TextArea).text.strip()
        self.dismiss("" if text == self.before.strip() else text)
