"""The molt ceremony: old and new answer the same questions side by side, and the person keeps one."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from molting_agent.ceremony import Ceremony, name_of
from molting_agent.clean import clean, clean_line
from molting_agent.ui.screens.keys_line import KeysLine, named_keys

if TYPE_CHECKING:
    from molting_agent.ui.app import MoltingApp


class CeremonyScreen(ModalScreen[str]):
    """Gives ``old``, ``new``, or "" for later."""

    BINDING_GROUP_TITLE = "The molt ceremony"
    AUTO_FOCUS = "#answers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "dismiss('new')", "Keep the new molt", id="ceremony.new"),
        Binding("o", "dismiss('old')", "Keep the old molt", id="ceremony.old"),
        Binding("escape", "dismiss('')", "Decide later", id="ceremony.later"),
    ]

    def __init__(self, shown: Ceremony) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-wide")]
        self.shown = shown

    def compose(self) -> ComposeResult:
        old, new = name_of(self.shown.old), name_of(self.shown.new)
        yield Static(Content.styled(f"{old} → {new}", "bold $primary"), id="title")
        with VerticalScroll(id="answers"):
            for one in self.shown.answers:
                yield Static(Content(f"you   {clean_line(one.question)}"), classes="question")
                with Horizontal(classes="pair"):
                    for name, text in ((old, one.old), (new, one.new)):
                        said = clean(text).strip() or "(nothing)"
                        yield Static(Content.assemble((name, "bold $primary"), "\n", said), classes="answer")
            reasons = [Content(f"· {clean_line(reason)}") for reason in self.shown.reasons]
            yield Static(Content("\n").join([Content("measured on what neither has seen"), *reasons]), id="measured")
        words = (("ceremony.new", f"keep {new}"), ("ceremony.old", f"keep {old}"), ("ceremony.later", "later"))
        yield KeysLine(named_keys(type(self), words, cast("MoltingApp", self.app).keys))
