"""The one value type that every log format is read into."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Role = Literal["user", "assistant", "tool"]
Trust = Literal["owner", "agent", "untrusted"]
Label = Literal["normal", "private", "never-train"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One use of a tool by the agent: ``arguments`` as JSON text and what came back, both cut short.

    A result is untrusted text: it is never learnt from and never remembered as anybody's words.
    """

    id: str
    name: str
    arguments: str = ""
    result: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Alternative:
    """A reply on a branch that was not taken: said instead of the reply ``message_id`` to the same question."""

    message_id: str
    text: str
    rationale: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, in the order it was said.

    ``pasted`` are the character ranges of ``text`` that the person did not write (pastes, attached files): untrusted.
    ``spoken_by`` is None for a person or an outside teacher (imported logs); for a reply of our own it is the number of
    the molt that spoke (0 is the base model). ``approved`` and ``edited_text`` are the person's verdicts on a reply:
    only with one of them may an own reply be learnt from.
    """

    id: str
    role: Role
    text: str
    line: int
    rationale: str = ""
    timestamp: str = ""
    trust: Trust = "owner"
    label: Label = "normal"
    spoken_by: int | None = None
    base_sha256: str = ""
    shown_memories: tuple[str, ...] = ()
    approved: bool | None = None
    edited_text: str | None = None
    stopped: bool = False
    tool_calls: tuple[ToolCall, ...] = ()
    pasted: tuple[tuple[int, int], ...] = ()

    @property
    def final_text(self) -> str:
        """What stands now: the person's edit where there is one."""
        return self.text if self.edited_text is None else self.edited_text


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line or file that was not read, and why."""

    path: Path
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """One logged conversation.

    ``format`` names the reader (``pi``, ``claude-code``, ...); ``own`` is True when Molting itself logged it.
    ``resume_at`` is (byte offset, line) from where an appended file has to be read again (start of the last exchange);
    (0, 0) when only the whole file will do.
    """

    id: str
    format: str
    path: Path
    turns: tuple[Turn, ...]
    own: bool = False
    started_at: str = ""
    title: str = ""
    skipped: tuple[Skipped, ...] = field(default=())
    dropped: dict[str, int] = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    resume_at: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Reading:
    """One log file being read: iterate ``conversations``; ``skipped`` and ``dropped`` fill up as that goes on.

    They hold what belongs to the file as a whole or to no conversation; a conversation has its own.
    """

    format: str
    conversations: Iterator[Transcript]
    skipped: list[Skipped] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
