"""What user, reply and note blocks have in common: they can be reached with Alt+Up and Alt+Down."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message


class Block(Horizontal, can_focus=True):
    """One piece of the conversation. ``text`` is its cleaned source, ``message_id`` its id in the transcript."""

    BINDING_GROUP_TITLE = "On a question or reply (Alt+Up)"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "ask('copy')", "Copy its text, or what is selected", id="block.copy"),
        Binding("c", "ask('code')", "Copy a code block of it", id="block.code"),
    ]

    class Asked(Message):
        """A key was pressed on a block. ``what``: copy, code, edit, up, down, again, branch, memories or why."""

        def __init__(self, block: "Block", what: str) -> None:
            super().__init__()
            self.block = block
            self.what = what

    def __init__(self, text: str, *, message_id: str = "", classes: str = "") -> None:
        super().__init__(classes=classes)
        self.text = text
        self.message_id = message_id

    def action_ask(self, what: str) -> None:
        """Tell the screen which key was pressed on this block."""
        self.post_message(self.Asked(self, what))
