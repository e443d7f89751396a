"""A line of the app itself within the conversation: a notice, a receipt, a swap, what a command found."""

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from molting_agent.clean import clean
from molting_agent.ui.block import Block

MARKS = {"information": "·", "warning": "!", "error": "×", "swap": "◆", "receipt": "✓", "tool": "▸"}


class NoteBlock(Block):
    """``kind``: information, warning, error, swap, receipt or tool."""

    def __init__(self, text: str, kind: str = "information") -> None:
        super().__init__(clean(text), classes=f"note -{kind}")
        self.kind = kind

    def compose(self) -> ComposeResult:
        yield Static(MARKS.get(self.kind, "·"), classes="mark", markup=False)
        yield Static(Content(self.text), classes="said")
