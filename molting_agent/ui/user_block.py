"""A question of the person, as plain text."""

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from molting_agent.clean import clean
from molting_agent.ui.block import Block

FOLDED_LINES = 4
_NOT_TYPED = re.compile(
    r'<(file path="(?P<name>[^"\n]+)"|pasted_text)>\n(?P<text>.*?)\n</(?:file|pasted_text)>', re.DOTALL
)


class UserBlock(Block):
    """What the person said; ``e`` puts it into the prompt again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "ask('edit')", "Ask again, changed / edit a reply", id="block.edit"),
        Binding("r", "ask('again')", "Have it answered anew", id="block.again"),
        Binding("b", "ask('branch')", "Go on from here, as a branch", id="block.branch"),
    ]

    def __init__(self, text: str, *, message_id: str = "") -> None:
        super().__init__(clean(text), message_id=message_id, classes="user")

    def compose(self) -> ComposeResult:
        yield Static("you", classes="who", markup=False)
        yield Static(Content(folded(self.text)), classes="said")


def folded(text: str) -> str:
    """A question with its attached files as one line each, and long pastes by their beginning (pure)."""

    def fold(match: re.Match[str]) -> str:
        lines = match["text"].splitlines()
        if match["name"]:
            return f"[file {match['name']}: {len(lines):,} line{'' if len(lines) == 1 else 's'}]"
        if len(lines) <= FOLDED_LINES:
            return match["text"]
        return "\n".join([*lines[:FOLDED_LINES], f"[pasted, {len(lines) - FOLDED_LINES:,} more lines]"])

    return _NOT_TYPED.sub(fold, text)
