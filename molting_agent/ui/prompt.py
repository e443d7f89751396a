"""Where the person types: several lines, Enter sends, Up brings back the last question, pasting never sends."""

from typing import ClassVar

from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from molting_agent.clean import clean
from molting_agent.ui.attachments import mention_at
from molting_agent.ui.messages import Submitted
from molting_agent.ui.pasted import Pastes

WHEN_FREE = "Ask him something, or / for commands"
WHILE_BUSY = "Type on: Enter queues, Esc stops, Ctrl+J new line"
NEW_LINE_KEYS = ("ctrl+j", "shift+enter", "alt+enter")


class Prompt(TextArea):
    """A TextArea that sends. Keys of the slash list are offered to the screen first, through ``steer``."""

    BINDING_GROUP_TITLE = "Writing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="prompt.send"),
        Binding("ctrl+j,shift+enter,alt+enter", "new_line", "New line", id="prompt.new_line", key_display="Ctrl+J"),
        Binding("up", "cursor_up", "In an empty line: the last question", id="prompt.recall", show=False),
    ]

    class Steered(Message):
        """Up, Down, Tab or Enter was pressed while the slash list is open."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class PulledBack(Message):
        """Up was pressed in an empty prompt while questions wait: the last of them is wanted for editing."""

    def __init__(self) -> None:
        super().__init__(
            id="prompt",
            compact=True,
            highlight_cursor_line=False,
            placeholder=WHEN_FREE,
        )
        self.asked: list[str] = []
        """Earlier questions, oldest first."""
        self.pastes = Pastes()
        self.hints_open = False
        self.queue_waiting = False
        self._place: int | None = None

    def put(self, text: str) -> None:
        """Replace what stands here and go to its end."""
        self.pastes.clear()
        self.text = text
        self.move_cursor(self.document.end)

    @property
    def text_before_cursor(self) -> str:
        """What stands before the cursor; completions look at its end."""
        return self.get_text_range((0, 0), self.cursor_location)

    @property
    def whole_text(self) -> str:
        """What stands here, with the folded pastes as they were."""
        return self.pastes.unfold(self.text, wrapped=False)

    def complete_mention(self, name: str) -> None:
        """Put a file's name in the place of what was typed after the last ``@``."""
        before = self.text_before_cursor
        typed = mention_at(before) or ""
        row, column = self.cursor_location
        quoted = f'"{name}"' if " " in name else name
        self.replace(f"{quoted} ", (row, column - len(typed)), (row, column))

    def remember(self, text: str) -> None:
        """Keep a sent question for Up."""
        if not self.asked or self.asked[-1] != text:
            self.asked.append(text)
        self._place = None

    async def on_key(self, event: events.Key) -> None:
        key = event.key
        if self.hints_open and key in ("up", "down", "tab", "enter"):
            self._take(event)
            self.post_message(self.Steered(key))
        elif key in self._keys("prompt.send", ("enter",)):
            self._take(event)
            self.action_send()
        elif key in self._keys("prompt.new_line", NEW_LINE_KEYS):
            self._take(event)
            self.action_new_line()
        elif key == "up" and (not self.text or self._place is not None):
            self._take(event)
            self._older()
        elif key == "down" and self._place is not None:
            self._take(event)
            self._newer()
        elif event.is_printable or key in ("backspace", "delete"):
            self._place = None

    async def on_paste(self, event: events.Paste) -> None:
        """Insert pasted text, cleaned, a long one folded; line ends in it never send."""
        event.stop()
        event.prevent_default()
        text = clean(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        self.insert(self.pastes.fold(text))

    def action_send(self) -> None:
        """Send what stands here."""
        typed = self.text.strip()
        if typed:
            text = self.pastes.unfold(typed, wrapped=not typed.startswith("/"))
            self.clear()
            self.pastes.clear()
            self.remember(text)
            self.post_message(Submitted(text))

    def action_new_line(self) -> None:
        """Begin a new line."""
        start, end = self.selection
        self.replace("\n", start, end)

    def action_cursor_page_up(self) -> None:
        """Page keys belong to the conversation."""
        raise SkipAction

    def action_cursor_page_down(self) -> None:
        """Page keys belong to the conversation."""
        raise SkipAction

    def action_cursor_line_end(self, select: bool = False) -> None:
        """In an empty prompt End goes to the newest reply."""
        if not self.text:
            raise SkipAction
        super().action_cursor_line_end(select)

    def _keys(self, binding_id: str, usual: tuple[str, ...]) -> tuple[str, ...]:
        """The keys of a binding as the person set them; a TextArea sees Enter before any binding does."""
        chosen = getattr(self.app, "keys", {}).get(binding_id, "")
        return tuple(key.strip() for key in chosen.split(",")) if chosen else usual

    def _take(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()

    def _older(self) -> None:
        if self._place is None and self.queue_waiting:
            self.post_message(self.PulledBack())
            return
        place = (len(self.asked) if self._place is None else self._place) - 1
        if place >= 0:
            self._place = place
            self.put(self.asked[place])

    def _newer(self) -> None:
        place = (self._place or 0) + 1
        if place < len(self.asked):
            self._place = place
            self.put(self.asked[place])
        else:
            self._place = None
            self.clear()
