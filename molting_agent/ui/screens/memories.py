"""The Memory screen: search what he knows, read it with what stands around it, correct it, forget it."""

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from memory.values import RecalledMemory
from molting_agent.clean import clean, clean_line
from molting_agent.ui.background import in_background
from molting_agent.ui.receipts import receipt_line
from molting_agent.ui.screens.confirm import Confirm
from molting_agent.ui.screens.editor import Editor
from molting_agent.ui.screens.panel import PanelScreen

if TYPE_CHECKING:
    from memory.values import Receipt
    from molting_agent.agent import Agent

DEBOUNCE_S = 0.25
LIST_LIMIT = 200
ROWS_BEFORE = 3


class MemoryScreen(PanelScreen):
    """An empty search lists the newest memories; ``Delete`` forgets after a question."""

    BINDING_GROUP_TITLE = "Memory (F2)"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_list", "To the list", id="memory.list", show=False),
        Binding("ctrl+d", "forget", "Forget the memory under the cursor", id="memory.forget", priority=True),
        Binding("delete", "forget", show=False),
        Binding("ctrl+e", "edit", "Correct an entry of MEMORY.md or a note", id="memory.edit", priority=True),
        Binding("ctrl+o", "source", "Show it where it stands", id="memory.source", priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.memories: list[RecalledMemory] = []
        self.at_source = False
        """The reader shows where the memory comes from, not the memory by itself."""
        self._asked = 0
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield self.title_line("Memory")
        yield Input(placeholder="Search as he does when you ask him", compact=True)
        yield self.said_line()
        with Container(id="halves"):
            yield OptionList(compact=True)
            with VerticalScroll(id="reader"):
                yield Static(id="text", markup=False)
        yield self.keys_line(
            ("↓", "list"), ("memory.source", "source"), ("memory.edit", "edit"), ("memory.forget", "forget")
        )

    def on_mount(self) -> None:
        self.search("")

    def awoke(self) -> None:
        self.search(self.query_one(Input).value)

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """Search when the person pauses: recall costs an embedding each time."""
        if self._timer is not None:
            self._timer.stop()
        query = event.value
        self._timer = self.set_timer(DEBOUNCE_S, lambda: self.search(query))

    def search(self, query: str) -> None:
        """Fill the list in the background; an answer that was overtaken by a later question is dropped."""
        agent = self.molting.agent
        if agent is None:
            self.say("He is still waking up.")
            return
        self._asked += 1
        asked = self._asked

        def work() -> list[RecalledMemory]:
            return list(agent.recall(query)) if query.strip() else list(agent.memory.list(limit=LIST_LIMIT))

        def arrived(memories: list[RecalledMemory]) -> None:
            if asked == self._asked:
                self._show(memories, query)

        self.in_background(work, arrived)

    def _show(self, memories: list[RecalledMemory], query: str) -> None:
        self.memories = memories
        listing = self.query_one(OptionList)
        listing.set_options([Option(memory_line(memory, scored=bool(query.strip()))) for memory in memories])
        listing.highlighted = 0 if memories else None
        count = f"{len(memories)} {'memory' if len(memories) == 1 else 'memories'}"
        if not query.strip():
            more = " and more" if len(memories) == LIST_LIMIT else ""
            self.say(
                f"{count}{more}, your own entries first"
                if memories
                else "Nothing is remembered yet; /remember TEXT writes a memory."
            )
        else:
            self.say(f"{count} for this question" if memories else "Nothing is remembered about this.")
        self._read()

    @on(OptionList.OptionHighlighted)
    def moved(self) -> None:
        self._read()

    @property
    def current(self) -> RecalledMemory | None:
        """The memory under the cursor."""
        index = self.query_one(OptionList).highlighted
        return self.memories[index] if index is not None and index < len(self.memories) else None

    def _read(self) -> None:
        memory, agent = self.current, self.molting.agent
        text = self.query_one("#text", Static)
        text.update(reader_text(memory) if memory else Content(""))
        self.query_one("#reader").scroll_home(animate=False)
        if memory is None or agent is None or not self.at_source:
            return

        def arrived(around: str) -> None:
            if self.at_source and self.current is memory:
                text.update(source_content(clean(around)))
                self._show_own_line(clean(around))

        self.in_background(lambda: _around(agent, memory), arrived)

    def _show_own_line(self, around: str) -> None:
        """Bring the memory's own line into view, with a little of what stands before it."""
        reader = self.query_one("#reader", VerticalScroll)
        width = max(1, reader.scrollable_content_region.width)
        before = around.splitlines()[: next((at for at, x in enumerate(around.splitlines()) if x[:1] == ">"), 0)]
        rows = sum(max(1, -(-len(line) // width)) for line in before)
        self.call_after_refresh(reader.scroll_to, y=max(0, rows - ROWS_BEFORE), animate=False)

    def action_source(self) -> None:
        """Show the memory among the lines or turns around it, and back."""
        self.at_source = not self.at_source
        self._read()

    def action_edit(self) -> None:
        """Open the editor; what is saved stands in the memory's own file from then on."""
        memory, agent = self.current, self.molting.agent
        if memory is None or agent is None:
            return
        if memory.conversation:
            self.say("This was said in a conversation; edit the reply there, or forget it here.")
            return

        def saved(text: str | None) -> None:
            if text:
                in_background(
                    self.app, lambda: [agent.memory.correct(memory.id, text)], then=self._changed, failed=self.say
                )

        keys = "Ctrl+S saves it in its file    Esc leaves it"
        self.app.push_screen(Editor(memory.text, f"What stands in {clean_line(memory.citation)}", keys), saved)

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    def action_forget(self) -> None:
        """Ask, then forget; the receipts say where it left."""
        memory, agent = self.current, self.molting.agent
        if memory is None or agent is None:
            return

        def answered(answer: str | None) -> None:
            if answer == "forget":
                in_background(self.app, lambda: _forget(agent, memory.id), then=self._changed, failed=self.say)

        where = clean_line(memory.citation)
        question = Confirm(
            f"Forget this memory of {where}?",
            clean_line(memory.text)[:300],
            [("keep", "Keep it"), ("forget", "Forget it, everywhere in this home")],
        )
        self.app.push_screen(question, answered)

    async def _changed(self, receipts: "list[Receipt]") -> None:
        """Keep the receipts in the conversation, also when this screen is closed by now."""
        for receipt in receipts:
            await self.molting.chat.note(receipt_line(receipt), "receipt")
        if self.is_open:
            self.search(self.query_one(Input).value)


def _forget(agent: "Agent", memory_id: str) -> "list[Receipt]":
    return list(agent.forget(memory_id))


def _around(agent: "Agent", memory: RecalledMemory) -> str:
    from molting_agent.source_text import source_text

    return source_text(agent.memory, memory)


def source_content(around: str) -> Content:
    """What stands around a memory, its own lines in colour."""
    return Content("\n").join(
        [Content.styled(line, "$accent" if line[:1] == ">" else "$foreground-muted") for line in around.splitlines()]
    )


def memory_line(memory: RecalledMemory, *, scored: bool) -> Content:
    """One line of the list: score when searched, the text, its mark when it is not a normal one."""
    parts: list[str | tuple[str, str]] = [(f"{memory.score:.2f}  ", "$accent")] if scored else []
    if memory.label != "normal":
        parts.append((f"{memory.label}  ", "$warning"))
    if memory.trust == "untrusted":
        parts.append(("untrusted  ", "$error"))
    return Content.assemble(*parts, clean_line(memory.text)[:300])


def reader_text(memory: RecalledMemory) -> Content:
    """The whole memory and where it comes from."""
    facts = [
        ("from", clean_line(memory.citation)),
        ("under", clean_line(memory.heading)),
        ("when", clean_line(memory.timestamp)[:16].replace("T", " ")),
        ("trust", f"{memory.trust}, {memory.label}"),
        ("score", "  ".join(f"{name} {value:.2f}" for name, value in memory.parts.items())),
        ("id", memory.id),
    ]
    lines = [Content.assemble((f"{name:<7}", "$foreground-muted"), value) for name, value in facts if value]
    return Content("\n").join([Content(clean(memory.text)), Content(""), *lines])
