"""The pill over the lower right corner of the conversation: something new stands below."""

from textual.message import Message
from textual.widgets import Static


class NewPill(Static):
    """``↓ 1 new``; a click or End goes there."""

    class Pressed(Message):
        """The person wants to see the newest."""

    def __init__(self) -> None:
        super().__init__(id="pill", markup=False)
        self.display = False

    def show(self, unseen: int) -> None:
        """Say how many blocks wait below; none hides the pill."""
        self.display = unseen > 0
        self.update(f"↓ {unseen} new  End")

    def on_click(self) -> None:
        self.post_message(self.Pressed())
