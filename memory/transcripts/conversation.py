"""Builds one Transcript from what a reader finds, in the order it was said: the same rules for every format.

Tool calls without words go to the next reply with words of the same exchange; results are cut short after the watch has
seen them whole; a person's pastes and the replies that cannot be trusted are marked; and it is noted from where an
appended file has to be read again.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memory.transcripts.fields import clean_text, compact_json, joined
from memory.transcripts.model import Alternative, Skipped, ToolCall, Transcript, Turn
from memory.trust import Watch, merged, pasted_ranges

ARGUMENT_CHARS = 400
RESULT_CHARS = 600
NAMED_BY_TURNS = 6
"""How many turns a conversation without an id is named by: it keeps its name when it grows beyond them."""


@dataclass(slots=True)
class Call:
    """A tool call while its result is awaited."""

    id: str
    name: str
    arguments: str
    result: str = ""
    failed: bool = False
    is_open: bool = True


@dataclass(slots=True)
class Reply:
    """A reply of the agent, gathered over the records it is logged in; the builder turns it into a Turn."""

    id: str
    line: int
    timestamp: str
    position: int
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    is_untrusted: bool = False
    stopped: bool = False
    spoken_by: int | None = None
    base_sha256: str = ""
    shown_memories: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was said, its pieces a blank line apart."""
        return joined(self.texts)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A human turn by its position among the items, and where in the file it stands; offset -1: nowhere to resume."""

    position: int
    offset: int
    lines_before: int


class Conversation:
    """Collects one conversation; ``finish`` gives the Transcript. ``dropped`` and ``skipped`` go with it."""

    def __init__(self, path: Path, log_format: str) -> None:
        self.skipped: list[Skipped] = []
        self.dropped: Counter[str] = Counter()
        self._path = path
        self._format = log_format
        self._items: list[Turn | Reply] = []
        self._watch = Watch()
        self._calls: dict[str, tuple[Reply, Call]] = {}
        self._open: list[tuple[Reply, Call]] = []
        self._exchanges: list[_Exchange] = []
        self._tainted_from = -1

    def human(
        self,
        message_id: str,
        text: str,
        line: int,
        *,
        timestamp: str = "",
        offset: int = -1,
        attached: Sequence[tuple[str, str]] = (),
    ) -> None:
        """What the person said. ``attached`` are (name, text) of files, which are nobody's word; ``offset`` is where
        the record begins in a file that can be read on from there, else -1."""
        text = clean_text(text).strip()
        ranges = list(pasted_ranges(text))
        for name, content in attached:
            if content.strip():
                before = f"{text}\n\n" if text else ""
                text = f"{before}[{name or 'attachment'}]\n{content.strip()}"
                ranges.append((len(before), len(text)))
        if not text:
            self.dropped["nothing typed"] += 1
            return
        pasted = merged(ranges, text)
        position = len(self._items)
        if any(call.is_open for _, call in self._open):
            offset = -1  # a result still to come belongs to a reply before this turn
        self._open.clear()
        self._exchanges.append(_Exchange(position, offset, line - 1))
        self._watch.human(text, pasted)
        if pasted and self._tainted_from < 0:
            self._tainted_from = position
        self._items.append(
            Turn(message_id or f"line-{line}", "user", text, line, timestamp=timestamp, trust="owner", pasted=pasted)
        )

    def reply(self, message_id: str, line: int, timestamp: str = "") -> Reply:
        """Begin a reply; ``say``, ``call`` and ``result`` fill it."""
        reply = Reply(message_id or f"line-{line}", line, timestamp, len(self._items))
        self._items.append(reply)
        return reply

    def say(self, reply: Reply, text: str) -> None:
        """Add words to a reply."""
        if text.strip():
            self._touch(reply)
            reply.texts.append(text)
            reply.is_untrusted = self._watch.obeying or self._watch.repeats(reply.text)

    def call(self, reply: Reply, call_id: str, name: str, arguments: object) -> None:
        """Add the use of a tool to the reply that asked for it."""
        self._touch(reply)
        call = Call(call_id, clean_text(name), _cut(compact_json(arguments), ARGUMENT_CHARS))
        reply.calls.append(call)
        self._open.append((reply, call))
        if call_id:
            self._calls[call_id] = (reply, call)

    def result(self, call_id: str, text: str, *, failed: bool = False, name: str = "") -> None:
        """What a tool returned: for the call of that id, else for the oldest open one, else for the last reply."""
        self._watch.tool(text)
        if self._watch.obeying and self._tainted_from < 0 and self._exchanges:
            self._tainted_from = self._exchanges[-1].position
        found = self._calls.get(call_id) if call_id else next((pair for pair in self._open if pair[1].is_open), None)
        if found is None:
            last = self._items[-1] if self._items else None
            if call_id or not isinstance(last, Reply):
                self.dropped["tool result without a call"] += 1
                return
            found = (last, Call("", clean_text(name) or "tool", ""))
            last.calls.append(found[1])
        reply, call = found
        self._touch(reply)
        call.is_open = False
        if not call.result:
            call.result, call.failed = _cut(text, RESULT_CHARS), failed

    def last_human(self) -> str:
        """The person's words if the last thing said was theirs, else ""."""
        last = self._items[-1] if self._items else None
        return last.text if isinstance(last, Turn) else ""

    def question(self) -> str:
        """The person's last words; "" when they have said nothing yet."""
        turn = self._items[self._exchanges[-1].position] if self._exchanges else None
        return turn.text if isinstance(turn, Turn) else ""

    def retract(self) -> None:
        """Take back the last exchange: no person was part of it."""
        if self._exchanges:
            del self._items[self._exchanges.pop().position :]
            self._open.clear()

    def _touch(self, reply: Reply) -> None:
        """A reply that goes on after a later human turn makes that turn no place to resume at."""
        for index in range(len(self._exchanges) - 1, -1, -1):
            exchange = self._exchanges[index]
            if exchange.position < reply.position:
                break
            self._exchanges[index] = _Exchange(exchange.position, -1, exchange.lines_before)

    def finish(
        self,
        conversation_id: str,
        *,
        own: bool = False,
        started_at: str = "",
        title: str = "",
        alternatives: tuple[Alternative, ...] = (),
    ) -> Transcript:
        """The conversation as a value; without an id it is named by its first turns."""
        turns = tuple(self._turns())
        return Transcript(
            id=conversation_id or self._name(turns),
            format=self._format,
            path=self._path,
            turns=turns,
            own=own,
            started_at=started_at or next((turn.timestamp for turn in turns if turn.timestamp), ""),
            title=title,
            skipped=tuple(self.skipped),
            dropped={kind: count for kind, count in self.dropped.items() if count},
            alternatives=alternatives,
            resume_at=(0, 0) if own else self._resume_at(),
        )

    def _name(self, turns: Sequence[Turn]) -> str:
        if not turns:
            return self._path.stem
        said = "\0".join(f"{turn.role}\0{turn.text}" for turn in turns[:NAMED_BY_TURNS])
        return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]

    def _turns(self) -> Iterator[Turn]:
        """Items as turns; calls made without words wait for the next reply with words of their exchange."""
        waiting: list[Call] = []
        last: tuple[Reply, list[Call]] | None = None
        for item in self._items:
            if isinstance(item, Reply):
                if not item.text:
                    self.dropped["reply without text"] += 1
                    waiting += item.calls
                    continue
                if last:
                    yield _turn(*last)
                last = (item, waiting + item.calls)
                waiting = []
                continue
            if last:
                yield _turn(last[0], last[1] + waiting)
            elif waiting:
                self.dropped["tool call without a reply"] += len(waiting)
            last, waiting = None, []
            yield item
        if last:
            yield _turn(last[0], last[1] + waiting)
        elif waiting:
            self.dropped["tool call without a reply"] += len(waiting)

    def _resume_at(self) -> tuple[int, int]:
        """The last human turn that was answered, but never past the first paste: later replies may repeat it."""
        last_reply = max((item.position for item in self._items if isinstance(item, Reply)), default=-1)
        for exchange in reversed(self._exchanges):
            is_clean = self._tainted_from < 0 or exchange.position <= self._tainted_from
            if exchange.offset > 0 and is_clean and exchange.position < last_reply:
                return exchange.offset, exchange.lines_before
        return 0, 0


def _turn(reply: Reply, calls: Sequence[Call]) -> Turn:
    return Turn(
        id=reply.id,
        role="assistant",
        text=reply.text,
        line=reply.line,
        rationale=joined(reply.thoughts),
        timestamp=reply.timestamp,
        trust="untrusted" if reply.is_untrusted else "agent",
        spoken_by=reply.spoken_by,
        base_sha256=reply.base_sha256,
        shown_memories=reply.shown_memories,
        stopped=reply.stopped,
        tool_calls=tuple(ToolCall(call.id, call.name, call.arguments, call.result, call.failed) for call in calls),
    )


def _cut(text: str, limit: int) -> str:
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return clean_text(text)
