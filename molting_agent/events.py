"""What happens during a turn, as values; whoever shows them decides how."""

from dataclasses import dataclass

from memory.api import RecalledMemory, Receipt
from molting_agent.tools.results import ToolUse


@dataclass(frozen=True, slots=True)
class UserSaved:
    """The person's words are on disk."""

    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class MemoryKept:
    """The person asked to have something remembered, and it stands in MEMORY.md now; it can be taken back."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class MemoriesShown:
    """What recall found and the prompt carries; empty when nothing fits."""

    memories: tuple[RecalledMemory, ...]
    recall_s: float


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool was chosen; ``call`` is it and its arguments in one clean line. ToolFinished follows."""

    id: str
    call: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """The call with what came of it: done, failed, or refused by the person."""

    use: ToolUse


@dataclass(frozen=True, slots=True)
class Unbacked:
    """The reply claims an act that no tool of this turn did, or quotes a note that was not shown (``why`` says)."""

    message_id: str
    claim: str
    why: str = "No such action was taken."


@dataclass(frozen=True, slots=True)
class ContextTrimmed:
    """The window was full: the oldest half of the history left the prompt (recall can still find it)."""

    turns_left_out: int
    turns_kept: int


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The engine was asked; deltas follow."""

    message_id: str
    molt: int


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    """New text of the reply, cleaned of control bytes."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """The whole reply, on disk. ``reason``: stop, length or cancelled."""

    message_id: str
    text: str
    molt: int
    reason: str
    prompt_tokens: int
    evaluated_tokens: int
    reply_tokens: int
    first_token_s: float
    total_s: float
    tokens_per_s: float
    prefix_restored: bool
    memories: tuple[RecalledMemory, ...] = ()
    uses: tuple[ToolUse, ...] = ()
    thinking: str = ""
    """What he thought aloud before the reply; mostly empty."""


@dataclass(frozen=True, slots=True)
class Swapped:
    """Another molt speaks from here on (0 is the base model)."""

    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Notice:
    """One line the person should read; ``severity``: information, warning or error."""

    text: str
    severity: str = "information"


Event = (
    UserSaved
    | MemoryKept
    | MemoriesShown
    | ToolStarted
    | ToolFinished
    | ContextTrimmed
    | ReplyStarted
    | ReplyDelta
    | Unbacked
    | ReplyFinished
    | Swapped
    | Notice
)
