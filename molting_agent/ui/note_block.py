"""A line of the app itself within the conversation: a notice, a receipt, a swap, a tool's result."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from molting_agent.clean import clean
from molting_agent.tools.results import ToolUse
from molting_agent.ui.block import Block

MARKS = {"information": "·", "warning": "!", "error": "×", "swap": "◆", "receipt": "✓", "tool": "▸"}


class NoteBlock(Block):
    """``kind``: information, warning, error, swap, receipt or tool; what a tool gave can be folded away (Ctrl+O)."""

    def __init__(self, text: str, kind: str = "information") -> None:
        super().__init__(clean(text), classes=f"note -{kind}")
        self.kind = kind

    def compose(self) -> ComposeResult:
        yield Static(MARKS.get(self.kind, "·"), classes="mark", markup=False)
        first, _, rest = self.text.partition("\n")
        if self.kind != "tool" or not rest:
            yield Static(Content(self.text), classes="said")
            return
        with Vertical(classes="said"):
            yield Static(Content(first))
            yield Static(Content(rest), classes="result")


def tool_note(use: ToolUse) -> NoteBlock:
    """A tool call and what it gave."""
    mark = {"done": "", "failed": " failed", "refused": " was refused"}[use.state]
    return NoteBlock("\n".join([f"{use.shown_call}{mark}", *use.result.splitlines()]), "tool")
