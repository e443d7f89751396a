"""A question with two or three answers over the screen."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from molting_agent.clean import clean


class Confirm(ModalScreen[str]):
    """Gives the id of the chosen answer, "" for Esc. The first answer has the cursor."""

    BINDING_GROUP_TITLE = "Questions"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "Leave it", id="confirm.leave"),
        Binding("pageup", "read(-1)", "Read back", id="confirm.back", priority=True),
        Binding("pagedown", "read(1)", "Read on", id="confirm.on", priority=True),
    ]

    asks_to_leave = False
    """The question is whether to leave the app; Ctrl+Q answers it."""

    def __init__(self, title: str, text: str, answers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.question = clean(title)
        self.text = clean(text)
        self.answers = list(answers)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(self.question), classes="title")
            if self.text:
                with VerticalScroll(classes="body", can_focus=False):
                    yield Static(Content(self.text))
            yield OptionList(*[Option(Content(label), id=answer) for answer, label in self.answers], compact=True)
            yield Static("Enter chooses    Esc leaves it    PgDn reads on", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.call_after_refresh(self._say_keys)

    def _say_keys(self) -> None:
        """Where all of it is on the screen, there is nothing to read on."""
        body = self.query(".body")
        if not body or body.first().max_scroll_y == 0:
            self.query_one(".keys", Static).update("Enter chooses    Esc leaves it")

    def action_read(self, step: int) -> None:
        """Scroll what is asked about."""
        for body in self.query(".body"):
            body.scroll_relative(y=step * max(1, body.size.height - 1), animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id or "")
