"""The one value type that every log format is read into."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Role = Literal["user", "assistant", "tool"]
Trust = Literal["owner", "agent", "untrusted"]
Label = Literal["normal", "private", "never-train"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, in the order it was said.

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
