"""The first run: what he runs on, whom he talks to, and which logs he might read; every answer can be left out."""

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
from molting_agent.first_run import FoundLogs, Machine

BEGIN = "begin"
Answers = tuple[str, str, str]
"""Name, language, and the folder whose logs shall be looked at ("": none)."""


class FirstRunScreen(ModalScreen[Answers]):
    """Gives the answers; Esc gives empty ones."""

    BINDING_GROUP_TITLE = "First run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "skip", "Skip all questions", id="first.skip"),
        Binding("down", "app.focus_next", "The next question", id="first.next", show=False),
    ]

    def __init__(self, speaker: str, here: Machine, logs: list[FoundLogs]) -> None:
        super().__init__()
        self.speaker = clean(speaker)
        self.here = here
        self.logs = logs

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled(f"{self.speaker} moves in", "bold $primary"), classes="title")
            yield Static(
                f"Here: {self.here.line}. He runs on this machine alone, on the small model that came with him; "
                "it is being loaded while you answer. Nothing here needs an answer.",
                classes="body",
                markup=False,
            )
            yield Input(placeholder="What shall he call you?", id="name", compact=True)
            yield Input(placeholder="Which language do you speak with him?", id="language", compact=True)
            options = [Option(Content("Begin"), id=BEGIN)]
            for one in self.logs:
                files = f"{one.files:,} file{'' if one.files == 1 else 's'}"
                words = clean_line(f"Begin, and look what is in {one.folder} ({files}); nothing is read in yet")
                options.append(Option(Content(words), id=str(one.folder)))
            yield OptionList(*options, compact=True)
            yield Static("Enter goes on    Esc skips all", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one("#name", Input).focus()

    @on(Input.Submitted)
    def entered(self) -> None:
        self.focus_next()

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        """The last answer ends it."""
        folder = "" if event.option_id == BEGIN else event.option_id or ""
        self.dismiss((self.query_one("#name", Input).value, self.query_one("#language", Input).value, folder))

    def action_skip(self) -> None:
        self.dismiss(("", "", ""))
