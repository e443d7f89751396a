"""A question that is answered with one line: a title, a path, a value."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from molting_agent.clean import clean


class AskLine(ModalScreen[str | None]):
    """Gives the line, None for Esc."""

    BINDING_GROUP_TITLE = "Questions"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Leave it", id="ask.leave")]

    def __init__(self, title: str, text: str = "", value: str = "", *, placeholder: str = "") -> None:
        super().__init__()
        self.question, self.text = clean(title), clean(text)
        self.value, self.placeholder = clean(value), placeholder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(self.question), classes="title")
            if self.text:
                yield Static(Content(self.text), classes="body")
            yield Input(self.value, placeholder=self.placeholder, compact=True)
            yield Static("Enter keeps it    Esc leaves it", classes="keys", markup=False)

    @on(Input.Submitted)
    def entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)
