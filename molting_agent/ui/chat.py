"""The chat screen: header, conversation, prompt, status line, and what happens between them."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Markdown, Static, TextArea

from molting_agent.events import Event
from molting_agent.ui import block_actions, chat_events, picks
from molting_agent.ui.attachments import attach
from molting_agent.ui.background import in_background
from molting_agent.ui.block import Block
from molting_agent.ui.commands import registry
from molting_agent.ui.conversation import Conversation
from molting_agent.ui.external_editor import edit_outside
from molting_agent.ui.header import HeaderLine
from molting_agent.ui.hints import SlashHints
from molting_agent.ui.history import Found, History, blocks_of, remembered
from molting_agent.ui.links import link_question
from molting_agent.ui.messages import Submitted
from molting_agent.ui.pill import NewPill
from molting_agent.ui.prompt import WHEN_FREE, WHILE_BUSY, Prompt
from molting_agent.ui.queue_line import QueueLine
from molting_agent.ui.reply_block import ReplyBlock
from molting_agent.ui.screens.confirm import Confirm
from molting_agent.ui.status import StatusLine
from molting_agent.ui.status_text import StatusFields
from molting_agent.ui.turns import Turns
from molting_agent.ui.welcome import Welcome

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.ui.app import MoltingApp

BUSY = "He is speaking; Esc stops him, then try again."
ASLEEP = "He is still waking up; try again in a moment."


class ChatScreen(Screen[None]):
    """Where the person and the agent talk."""

    BINDING_GROUP_TITLE = "Chat"
    AUTO_FOCUS = "#prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "escape", "Stop his reply; close; back to writing", id="chat.escape"),
        Binding("alt+up", "walk(-1)", "To the block above", id="chat.block_up"),
        Binding("alt+down", "walk(1)", "To the block below", id="chat.block_down"),
        Binding("ctrl+n", "new_session", "New conversation", id="chat.new"),
        Binding("ctrl+r", "history", "Search what you asked before", id="chat.history"),
        Binding("ctrl+g", "editor", "Write in $EDITOR", id="chat.editor"),
        Binding("ctrl+o", "fold", "Fold what tools gave, or show it", id="chat.fold"),
        Binding("ctrl+t", "thinking", "Show what he thought aloud, or hide it", id="chat.thinking"),
        Binding("pageup", "page(-1)", "Scroll up", id="chat.page_up"),
        Binding("pagedown", "page(1)", "Scroll down", id="chat.page_down"),
        Binding("end,ctrl+end", "newest", "To the newest", id="chat.newest", key_display="End"),
    ]

    def __init__(self, speaker: str, turns: Turns) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal"), (120, "-wide")]
        self.speaker = speaker
        self.reply: ReplyBlock | None = None
        self.rewriting = ""
        """The message id of the question that the prompt holds for asking it in other words."""
        self.history = History((), 0)
        self.conversation = Conversation(Welcome(speaker))
        self.prompt = Prompt()
        self.header = HeaderLine(speaker)
        self.pill = NewPill()
        self.hints = SlashHints()
        self.queue = QueueLine()
        self.status = StatusLine()
        self.turns = turns

    @property
    def molting(self) -> "MoltingApp":
        """The app, by its own type."""
        return cast("MoltingApp", self.app)

    def compose(self) -> ComposeResult:
        yield self.header
        with Container(id="stage"):
            yield self.conversation
            yield self.pill
            yield self.hints
        yield self.queue
        with Horizontal(id="entry"):
            yield Static(Content(">"), id="mark")
            yield self.prompt
        yield self.status

    # What the person does

    @on(Submitted)
    async def submitted(self, event: Submitted) -> None:
        """Run a command, or ask; a question that was rewritten is asked in the place of the old one."""
        self.hints.close()
        self.prompt.hints_open = False
        self.molting.alone.touch()
        rewriting, self.rewriting = self.rewriting, ""
        if await registry.run(self, event.text):
            self.show_queue()
            return
        attached = attach(event.text, Path.cwd())
        for trouble in attached.troubles:
            await self.note(f"not attached: {trouble}", "warning")
        self.conversation.newest()
        if rewriting:
            block_actions.take_back(self, rewriting, lambda: self.turns.send(attached.text))
        else:
            self.turns.send(attached.text)
        self.show_queue()

    @on(TextArea.Changed, "#prompt")
    def typed(self) -> None:
        self.prompt.hints_open = self.hints.follow(self.prompt.text_before_cursor)

    @on(Prompt.Steered)
    def steered(self, event: Prompt.Steered) -> None:
        """Move in the slash list, complete from it, or run what is chosen."""
        chosen, file = self.hints.chosen, self.hints.file
        if event.key == "up":
            self.hints.action_cursor_up()
        elif event.key == "down":
            self.hints.action_cursor_down()
        elif file:
            self.prompt.complete_mention(file)
            self.hints.close()
            self.prompt.hints_open = False
        elif chosen is not None:
            exact = self.prompt.text == f"/{chosen.name}"
            if event.key == "tab" or (chosen.needs_argument and not exact):
                self.prompt.put(f"/{chosen.name} " if chosen.argument else f"/{chosen.name}")
            else:
                self.prompt.put(f"/{chosen.name}")
                self.prompt.action_send()

    @on(Prompt.PulledBack)
    def pulled_back(self) -> None:
        self.prompt.put(self.turns.take_back())
        self.show_queue()

    def action_escape(self) -> None:
        """The innermost thing that can be ended: the slash list, the block cursor, the reply, the queue."""
        if self.hints.display:
            self.hints.close()
            self.prompt.hints_open = False
        elif self.focused is not self.prompt:
            self.prompt.focus()
        elif self.turns.busy:
            self.turns.stop()
        elif self.rewriting:
            self.rewriting = ""
            self.prompt.clear()
            self.show_queue()
        elif self.turns.waiting and not self.prompt.text:
            self.pulled_back()

    def action_walk(self, step: int) -> None:
        """Move the block cursor."""
        self.conversation.walk(step, self.prompt.focus)

    def action_page(self, step: int) -> None:
        """Scroll by a screen, whatever has the focus."""
        if step < 0:
            self.conversation.scroll_page_up(animate=False)
        else:
            self.conversation.scroll_page_down(animate=False)

    def action_fold(self) -> None:
        """Leave one line of each tool call, or show what it gave."""
        self.toggle_class("-folded")
        self.toast("Only the calls of tools are shown." if self.has_class("-folded") else "What tools gave is shown.")

    def action_thinking(self) -> None:
        """Show or hide what stood before the replies of a model that thinks aloud."""
        self.toggle_class("-thinking")
        if self.has_class("-thinking") and not self.query(".thinking.-some"):
            self.toast("He thought nothing aloud here; models that do so leave it with their replies.")

    def action_newest(self) -> None:
        """Go to the end and follow it."""
        self.conversation.newest()
        self.prompt.focus()

    def action_new_session(self) -> None:
        self.new_session()

    def action_editor(self) -> None:
        """Write the question in $EDITOR."""
        text, trouble = edit_outside(self.app, self.prompt.whole_text)
        if trouble:
            self.toast(trouble)
        elif text.strip():
            self.prompt.put(text.rstrip("\n"))

    def action_history(self) -> None:
        """Search what was asked before, in any conversation."""
        picks.pick_question(self)

    @property
    def selected_text(self) -> str:
        """What is selected with the mouse; "" when nothing is."""
        return self.get_selected_text() or ""

    @on(Block.Asked)
    def block_asked(self, event: Block.Asked) -> None:
        """A key on a block."""
        block_actions.act(self, event.block, event.what)

    @on(Markdown.LinkClicked)
    def link_clicked(self, event: Markdown.LinkClicked) -> None:
        """A link of the model opens only after its true address was shown and agreed to."""
        event.stop()
        question, url = link_question(event.href)
        if not url:
            self.toast(question)
            return

        def answered(answer: str | None) -> None:
            if answer == "open":
                self.app.open_url(url)

        self.app.push_screen(Confirm(question, url, [("leave", "Leave it"), ("open", "Open it")]), answered)

    @on(NewPill.Pressed)
    def pill_pressed(self) -> None:
        self.action_newest()

    @on(Conversation.Moved)
    def moved(self, event: Conversation.Moved) -> None:
        self.pill.show(event.unseen)

    # What the agent is asked to do

    def with_agent(
        self, work: "Callable[[Agent], Any]", *, then: Callable[[Any], Awaitable[None] | None] | None = None
    ) -> None:
        """Call the agent in a thread; errors become a line in the conversation."""
        agent = self.molting.agent
        if agent is None:
            self.run_worker(self.note(ASLEEP), exit_on_error=False)
            return
        in_background(self.app, lambda: work(agent), then=then, failed=lambda line: self.note(line, "error"))

    def when_free(self, work: "Callable[[Agent], Any]", *, then: Callable[[Any], Awaitable[None] | None]) -> None:
        """The same, for what must not happen during a turn."""
        if self.turns.busy:
            self.run_worker(self.note(BUSY, "warning"), exit_on_error=False)
            return

        def alone(agent: "Agent") -> Any:
            with self.turns.lock:
                return work(agent)

        self.with_agent(alone, then=then)

    def new_session(self) -> None:
        """Begin anew; the old conversation stays on disk."""

        async def begun(_result: None) -> None:
            await self.show_session({})
            self.toast("A new conversation.")

        self.when_free(lambda agent: agent.new_session(), then=begun)

    def resume(self, session_id: str) -> None:
        """Go on with another conversation."""

        def work(agent: "Agent") -> tuple[list[Event], Found]:
            notices: list[Event] = list(agent.resume(session_id) or [])
            return notices, remembered(agent, History.newest(agent.session.turns).shown())

        async def resumed(result: tuple[list[Event], Found]) -> None:
            await self.show_session(result[1])
            await self.show_events(result[0])

        self.when_free(work, then=resumed)

    def promote(self, number: int) -> None:
        """Let another molt speak."""
        self.when_free(lambda agent: agent.promote(number), then=self.show_events)

    def rollback(self) -> None:
        """Let the molt before this one speak."""
        self.when_free(lambda agent: agent.rollback(), then=self.show_events)

    # What is shown

    async def show_session(self, found: Found) -> None:
        """Show the agent's conversation from its end; ``found`` are the memories shown with its newest turns."""
        agent = self.molting.agent
        turns = list(agent.session.turns) if agent else []
        self.reply = None
        self.history = History.newest(turns)
        self.prompt.asked = [turn.text for turn in turns if turn.role == "user"][-200:]
        blocks = blocks_of(self.history.shown(), self.speaker, found)
        await self.conversation.fill(blocks, has_earlier=self.history.has_earlier)
        self.show_status()
        self.prompt.focus()

    @on(Conversation.EarlierWanted)
    def earlier_wanted(self) -> None:
        """The reader reached the top: put older turns there."""
        agent = self.molting.agent
        if agent is None:
            return
        first = next((block.message_id for block in self.conversation.blocks if block.message_id), "")
        self.history = History.above(list(agent.session.turns), first)
        turns = self.history.earlier()

        async def arrived(found: Found) -> None:
            blocks = blocks_of(turns, self.speaker, found)
            await self.conversation.prepend(blocks, has_earlier=self.history.has_earlier)

        self.with_agent(lambda agent: remembered(agent, turns), then=arrived)

    async def show_event(self, event: Event) -> None:
        """Show one event of the agent."""
        await chat_events.show_event(self, event)

    async def show_events(self, events: Sequence[Event]) -> None:
        """Show several events, such as those of a swap."""
        for event in events:
            await self.show_event(event)

    async def turn_ended(self, error: str) -> None:
        """Begin the next question; after an error the waiting ones go back into the prompt."""
        await chat_events.turn_ended(self, error)
        self.turns.busy = False
        if error and self.turns.waiting:
            texts = [*self.turns.waiting, *([self.prompt.text] if self.prompt.text else [])]
            self.turns.waiting.clear()
            self.prompt.put("\n\n".join(texts))
        self.turns.next()
        self.show_queue()
        self.show_status()

    async def note(self, text: str, kind: str = "information") -> None:
        """A line of the app in the conversation."""
        await self.conversation.note(text, kind)

    def toast(self, text: str) -> None:
        """A short confirmation that need not stay."""
        self.notify(text, markup=False, timeout=2.5)

    def show_queue(self) -> None:
        """Bring the waiting questions up to date."""
        waiting = list(self.turns.waiting)
        self.queue.show(waiting, rewriting=bool(self.rewriting), asleep=not self.molting.ready)
        self.prompt.placeholder = WHILE_BUSY if self.turns.busy else WHEN_FREE
        self.prompt.queue_waiting = bool(self.turns.waiting)

    def show_status(self) -> None:
        """Bring header and status line up to date."""
        agent = self.molting.agent
        if agent is None or not self.is_mounted:
            return
        status = agent.status
        if self.molting.ready:
            self.header.molt = status.molt
        self.header.model = status.model_name
        self.status.fields = StatusFields(
            status.context_used,
            status.context_tokens,
            status.tokens_per_s,
            status.memories_shown,
            self.molting.training.state,
            agent.indexing,
        )
