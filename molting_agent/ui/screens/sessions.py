"""The Sessions screen: every conversation, found by any word in it; go on with it, rename it, write it as markdown."""

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from molting_agent.clean import clean_line
from molting_agent.ui.export import export_session
from molting_agent.ui.screens.ask_line import AskLine
from molting_agent.ui.screens.panel import PanelScreen

if TYPE_CHECKING:
    from molting_agent.session_search import FoundTurn

DEBOUNCE_S = 0.12


class SessionsScreen(PanelScreen):
    """Typing searches all that was said; Enter goes on with the chosen conversation."""

    BINDING_GROUP_TITLE = "Conversations (F4)"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_list", "To the list", id="sessions.list", show=False),
        Binding("enter", "choose", "Go on with it", id="sessions.resume"),
        Binding("ctrl+n", "new", "New conversation", id="sessions.new"),
        Binding("ctrl+r", "rename", "Rename it", id="sessions.rename", priority=True),
        Binding("ctrl+e", "export", "Write it as markdown", id="sessions.export", priority=True),
    ]

    def __init__(self, words: str = "") -> None:
        super().__init__()
        self.words = words
        self.found: list[FoundTurn] = []
        self._asked = 0
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield self.title_line("Conversations")
        yield Input(self.words, placeholder="Search all that was said, or a title, a date, an id", compact=True)
        yield self.said_line()
        yield OptionList(compact=True)
        yield self.keys_line(
            ("sessions.resume", "go on"),
            ("sessions.new", "new"),
            ("sessions.rename", "rename"),
            ("sessions.export", "markdown"),
        )

    def on_mount(self) -> None:
        self.search(self.words)

    def awoke(self) -> None:
        self.search(self.query_one(Input).value)

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """Search when the person pauses."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE_S, lambda: self.search(event.value))

    def search(self, query: str, *, stay_on: str = "") -> None:
        """Fill the list in the background; an answer that a later question overtook is dropped."""
        agent = self.molting.agent
        if agent is None:
            self.say("He is still waking up.")
            return
        self._asked += 1
        asked = self._asked

        def arrived(found: "list[FoundTurn]") -> None:
            if asked == self._asked:
                self._show(found, query, stay_on)

        self.in_background(lambda: agent.search_sessions(query), arrived)

    def _show(self, found: "list[FoundTurn]", query: str, stay_on: str) -> None:
        self.found = found
        agent = self.molting.agent
        current = agent.session.id if agent else ""
        listing = self.query_one(OptionList)
        listing.set_options([Option(found_line(one, current=one.summary.id == current)) for one in found])
        ids = [one.summary.id for one in found]
        listing.highlighted = ids.index(stay_on) if stay_on in ids else 0 if found else None
        count = f"{len(found)} conversation{'' if len(found) == 1 else 's'}"
        if query.strip():
            hits = sum(one.hits for one in found)
            self.say(f"{count}, {hits} place{'' if hits == 1 else 's'}" if found else "Nobody said this.")
        else:
            self.say(count if found else "Nothing was said yet.")

    @property
    def current(self) -> "FoundTurn | None":
        """The conversation under the cursor."""
        index = self.query_one(OptionList).highlighted
        return self.found[index] if index is not None and index < len(self.found) else None

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def action_choose(self) -> None:
        """Go on with the conversation under the cursor."""
        if self.current is not None:
            session_id = self.current.summary.id
            self.dismiss(None)
            self.molting.chat.resume(session_id)

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    def action_new(self) -> None:
        """Close and begin a new conversation."""
        self.dismiss(None)
        self.molting.chat.new_session()

    def action_rename(self) -> None:
        """Ask for another title."""
        one, agent = self.current, self.molting.agent
        if one is None or agent is None:
            return

        def answered(title: str | None) -> None:
            if title and title.strip():
                self.in_background(
                    lambda: agent.rename_session(one.summary.id, title),
                    lambda _done: self.search(self.query_one(Input).value, stay_on=one.summary.id),
                )

        self.app.push_screen(AskLine("What shall it be called?", value=one.summary.title), answered)

    def action_export(self) -> None:
        """Ask where to, and write it."""
        one, agent = self.current, self.molting.agent
        if one is not None and agent is not None:
            export_session(self.app, agent, one.summary.id, self.say)


def found_line(one: "FoundTurn", *, current: bool) -> Content:
    """``● 2026-02-08 14:03   12 turns   is baleia ok for tonight?``, and below it what was found in it."""
    session = one.summary
    when = clean_line(session.updated_at)[:16].replace("T", " ")
    turns = f"{session.turns:>4} turn{' ' if session.turns == 1 else 's'}"
    parts: list[str | tuple[str, str]] = [
        ("● " if current else "  ", "$success"),
        (when, "$accent"),
        (f"  {turns}  ", "$foreground-muted"),
        clean_line(session.title),
    ]
    if one.excerpt:
        who = "you" if one.role == "user" else "he"
        parts.append((f"\n{'':20}{who}: {clean_line(one.excerpt)}", "$foreground-muted"))
    return Content.assemble(*parts)
