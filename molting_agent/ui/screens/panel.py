"""What the screens beside the chat have in common: a title line, a list with a reader beside it, a line of keys."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from molting_agent.clean import clean_line

if TYPE_CHECKING:
    from molting_agent.ui.app import MoltingApp


class PanelScreen(Screen[None]):
    """Esc closes it. Wide terminals show list and reader side by side, narrow ones one above the other."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Back to the chat", id="panel.close")]

    def __init__(self) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]

    @property
    def molting(self) -> "MoltingApp":
        """The app, by its own type."""
        return cast("MoltingApp", self.app)

    def action_close(self) -> None:
        self.dismiss(None)

    def say(self, text: str) -> None:
        """One line under the title: what is shown, or what went wrong."""
        self.query_one("#said", Static).update(Content(clean_line(text)))

    def title_line(self, title: str) -> Static:
        """The first line of the screen."""
        return Static(Content.styled(title, "bold $primary"), id="title")

    def said_line(self) -> Static:
        """The line for ``say``."""
        return Static("", id="said", markup=False)

    def keys_line(self, *keys: tuple[str, str]) -> Static:
        """The last line: keys and what they do."""
        shown = [Content.assemble((key, "$primary"), (f" {word}", "$foreground-muted")) for key, word in keys]
        return Static(Content("   ").join(shown), id="keys")
