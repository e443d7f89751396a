"""What the screens beside the chat have in common: a title line, a list with a reader beside it, a line of keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from molting_agent.clean import clean_line
from molting_agent.ui.background import in_background
from molting_agent.ui.screens.keys_line import KeysLine, named_keys

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

    @property
    def is_open(self) -> bool:
        """It was not closed: what comes back from a thread still has widgets to go to."""
        return self in self.app.screen_stack

    def action_close(self) -> None:
        self.dismiss(None)

    def awoke(self) -> None:
        """The agent is there now: a screen that could not ask him before asks him here."""

    def in_background(self, work: Callable[[], Any], then: Callable[[Any], Any]) -> None:
        """Slow work in a thread; its result, or the line of what failed, is dropped once the screen is closed."""
        in_background(self.app, work, then=lambda result: then(result) if self.is_open else None, failed=self.say)

    def say(self, text: str) -> None:
        """One line under the title: what is shown, or what went wrong."""
        if self.is_open:
            self.query_one("#said", Static).update(Content(clean_line(text)))

    def title_line(self, title: str) -> Static:
        """The first line of the screen."""
        return Static(Content.styled(title, "bold $primary"), id="title")

    def said_line(self) -> Static:
        """The line for ``say``."""
        return Static("", id="said", markup=False)

    def keys_line(self, *words: tuple[str, str]) -> KeysLine:
        """The last line: (binding id, word) pairs in the order of their use, then the way back."""
        return KeysLine(named_keys(type(self), [*words, ("panel.close", "back")], self.molting.keys))
