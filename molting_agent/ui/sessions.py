"""The Sessions screen: all conversations, newest first; find one, go on with it, begin a new one."""

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from molting_agent.clean import clean_line
from molting_agent.ui.background import in_background
from molting_agent.ui.panel_screen import PanelScreen

if TYPE_CHECKING:
    from molting_agent.session import SessionSummary


class SessionsScreen(PanelScreen):
    """Typing narrows the list; Enter goes on with the chosen conversation."""

    BINDING_GROUP_TITLE = "Conversations (F4)"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_list", "To the list", id="sessions.list", show=False),
        Binding("ctrl+n", "new", "New conversation", id="sessions.new"),
        Binding("enter", "choose", "Go on with it", id="sessions.resume"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[SessionSummary] = []

    def compose(self) -> ComposeResult:
        yield self.title_line("Conversations")
        yield Input(placeholder="Find by title, date or id", compact=True)
        yield self.said_line()
        yield OptionList(compact=True)
        yield self.keys_line(("Enter", "go on with it"), ("Ctrl+N", "new"), ("Esc", "back"))

    def on_mount(self) -> None:
        agent = self.molting.agent
        if agent is None:
            self.say("He is still waking up.")
            return
        self.say("reading …")
        in_background(self.app, agent.sessions, then=self._arrived, failed=self.say)

    def _arrived(self, sessions: "list[SessionSummary]") -> None:
        if self.is_mounted:
            self.sessions = sessions
            self.show(self.query_one(Input).value)

    def show(self, wanted: str) -> None:
        """Show the conversations in whose line every wanted word stands."""
        words = wanted.lower().split()
        agent = self.molting.agent
        current = agent.session.id if agent else ""
        options = []
        for session in self.sessions:
            line = session_line(session, current=session.id == current)
            if all(word in line.plain.lower() or word in session.id for word in words):
                options.append(Option(line, id=session.id))
        listing = self.query_one(OptionList)
        listing.set_options(options)
        listing.highlighted = 0 if options else None
        count = len(options)
        self.say(f"{count} conversation{'' if count == 1 else 's'}" if self.sessions else "Nothing was said yet.")

    @on(Input.Changed)
    def narrowed(self, event: Input.Changed) -> None:
        self.show(event.value)

    @on(Input.Submitted)
    def action_choose(self) -> None:
        """Resume the conversation under the cursor."""
        listing = self.query_one(OptionList)
        if listing.highlighted is not None:
            self._resume(listing.get_option_at_index(listing.highlighted).id)

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        self._resume(event.option_id)

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    def action_new(self) -> None:
        """Close and begin a new conversation."""
        self.dismiss(None)
        self.molting.chat.new_session()

    def _resume(self, session_id: str | None) -> None:
        if session_id:
            self.dismiss(None)
            self.molting.chat.resume(session_id)


def session_line(session: "SessionSummary", *, current: bool) -> Content:
    """``2026-02-08 14:03   12 turns   is baleia ok for tonight?``"""
    when = clean_line(session.updated_at)[:16].replace("T", " ")
    turns = f"{session.turns:>4} turn{' ' if session.turns == 1 else 's'}"
    return Content.assemble(
        ("● " if current else "  ", "$success"),
        (when, "$accent"),
        (f"  {turns}  ", "$foreground-muted"),
        clean_line(session.title),
    )
