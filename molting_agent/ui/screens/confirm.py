"""A question with two or three answers over the screen."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from molting_agent.clean import clean


class Confirm(ModalScreen[str]):
    """Gives the id of the chosen answer, "" for Esc. The first answer has the cursor."""

    BINDING_GROUP_TITLE = "Questions"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Leave it", id="confirm.leave")]

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
                yield Static(Content(self.text), classes="body")
            yield OptionList(*[Option(Content(label), id=answer) for answer, label in self.answers], compact=True)
            yield Static("Enter chooses    Esc leaves it", classes="keys", markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id or "")
