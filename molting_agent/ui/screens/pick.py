"""A list to choose one thing from, narrowed by typing: earlier questions, branches, code blocks."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from molting_agent.clean import clean, clean_line

SHOWN = 200


class Pick(ModalScreen[int | None]):
    """Gives the place of the chosen line in ``lines``, None for Esc."""

    BINDING_GROUP_TITLE = "Lists to choose from"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave it", id="pick.leave"),
        Binding("down", "down", "The next line", id="pick.down", priority=True),
        Binding("up", "up", "The line before", id="pick.up", priority=True),
    ]

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self.question = clean(title)
        self.lines = [clean_line(line) for line in lines]
        self.shown: list[int] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static(Content(self.question), classes="title")
            yield Input(placeholder="Type to narrow the list", compact=True)
            yield OptionList(compact=True)
            yield Static("Enter chooses    Esc leaves it", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        self.narrow("")

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        self.narrow(event.value)

    def narrow(self, query: str) -> None:
        """Show the lines with every typed word."""
        words = query.casefold().split()
        fitting = [i for i, line in enumerate(self.lines) if all(word in line.casefold() for word in words)]
        self.shown = fitting[:SHOWN]
        listing = self.query_one(OptionList)
        listing.set_options([Option(Content(self.lines[index])) for index in self.shown])
        listing.highlighted = 0 if self.shown else None

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def chosen(self) -> None:
        """The line under the cursor."""
        at = self.query_one(OptionList).highlighted
        self.dismiss(self.shown[at] if at is not None and at < len(self.shown) else None)
