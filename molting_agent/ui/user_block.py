"""A question of the person, as plain text."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from molting_agent.clean import clean
from molting_agent.ui.block import Block


class UserBlock(Block):
    """What the person said; ``e`` puts it into the prompt again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "ask('edit')", "Ask again, changed / edit a reply", id="block.edit"),
    ]

    def __init__(self, text: str, *, message_id: str = "") -> None:
        super().__init__(clean(text), message_id=message_id, classes="user")

    def compose(self) -> ComposeResult:
        yield Static("you", classes="who", markup=False)
        yield Static(Content(self.text), classes="said")
