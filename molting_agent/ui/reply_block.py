"""A reply of the agent: streamed markdown, the memories behind it, and how it was rated."""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from memory.values import RecalledMemory
from molting_agent.clean import clean
from molting_agent.ui.block import Block
from molting_agent.ui.foot import Foot
from molting_agent.ui.foot_text import memory_lines, state_text
from molting_agent.ui.reply_text import ReplyText
from molting_agent.ui.stream import StreamBuffer

FLUSH_S = 0.11
"""Nine flushes a second: faster costs layout work that nobody sees."""
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class ReplyBlock(Block):
    """One reply, from the moment it is awaited to its rating."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "ask('up')", "Like a reply", id="block.up", key_display="+"),
        Binding("minus", "ask('down')", "Dislike a reply", id="block.down", key_display="-"),
        Binding("e", "ask('edit')", "Ask again, changed / edit a reply", id="block.edit"),
        Binding("r", "ask('again')", "Have it answered anew", id="block.again"),
        Binding("b", "ask('branch')", "Go on from here, as a branch", id="block.branch"),
        Binding("enter", "ask('memories')", "Open the memories behind a reply", id="block.memories"),
        Binding("w", "ask('why')", "Why: memories, molt, nearest conversations learnt", id="block.why"),
    ]

    def __init__(self, name: str, text: str = "", *, message_id: str = "", streaming: bool = False) -> None:
        super().__init__(clean(text), message_id=message_id, classes="reply")
        self.speaker = name
        self.streaming = streaming
        self.memories: tuple[RecalledMemory, ...] = ()
        self.thinking = ""
        """What he thought aloud before it; shown after Ctrl+T."""
        self.rating = 0
        self.edited = False
        self.reason = ""
        self.molt: int | None = None
        self.on_growth: Callable[[], None] = lambda: None
        """Called before new text is drawn."""
        self._buffer = StreamBuffer()
        self._doing = "remembering"
        self._spinner = cycle(SPINNER)
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(self.speaker, classes="who", markup=False)
        with Vertical(classes="said"):
            yield Static(classes="thinking", markup=False)
            yield ReplyText(self.text)
            yield Foot()
            yield Static(classes="memories", markup=False)

    def on_mount(self) -> None:
        self.query_one(".memories").display = False
        self.show_thinking(self.thinking)
        if self.streaming:
            self._timer = self.set_interval(FLUSH_S, self.flush)
        self.show_foot()

    def doing(self, what: str) -> None:
        """Say what he does while no word has come: remembering, reading, answering."""
        self._doing = what
        self.show_foot()

    def write(self, delta: str) -> None:
        """Take new text; it is drawn at the next flush."""
        self._buffer.write(clean(delta))
        self.text = self._buffer.text

    async def begin_anew(self) -> None:
        """Throw away what came so far."""
        self._buffer = StreamBuffer()
        await self.replace("")

    async def flush(self) -> None:
        """Draw what came since the last flush."""
        if new := self._buffer.take():
            self.on_growth()
            await self.query_one(ReplyText).append(new)
        self.show_foot()

    async def finish(self, text: str, *, reason: str = "stop") -> None:
        """The reply is over and ``text`` is what stands on disk."""
        if self._timer is not None:
            self._timer.stop()
        if rest := self._buffer.rest():
            await self.query_one(ReplyText).append(rest)
        self.streaming = False
        self.reason = reason
        if clean(text) != self.text:
            await self.replace(text)
        self.show_foot()

    async def replace(self, text: str) -> None:
        """Show another text: an edited reply."""
        self.text = clean(text)
        await self.query_one(ReplyText).update(self.text)

    def show_memories(self, memories: Sequence[RecalledMemory]) -> None:
        """Set the memories that the reply was given."""
        self.memories = tuple(memories)
        self.query_one(".memories", Static).update(memory_lines(self.memories))
        self.show_foot()

    def show_thinking(self, text: str) -> None:
        """Set what he thought aloud."""
        self.thinking = clean(text)
        widget = self.query_one(".thinking", Static)
        widget.update(Content(self.thinking))
        widget.set_class(bool(self.thinking), "-some")

    def toggle_memories(self) -> None:
        """Open or close the list of memories."""
        if self.memories:
            listing = self.query_one(".memories")
            listing.display = not listing.display
            self.show_foot()

    def show_foot(self) -> None:
        """Bring the line under the reply up to date."""
        if not self.is_mounted:
            return
        foot = self.query_one(Foot)
        foot.waiting = f"{next(self._spinner)} {self._doing}" if self.streaming else ""
        foot.left = self.memories
        foot.expanded = bool(self.query_one(".memories").display)
        foot.right = state_text(rating=self.rating, edited=self.edited, reason=self.reason, molt=self.molt)
        foot.keys = self.has_focus and not self.streaming

    def watch_has_focus(self, value: bool) -> None:
        super().watch_has_focus(value)
        self.show_foot()

    def on_click(self) -> None:
        self.focus()
