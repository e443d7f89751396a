"""What a writing teacher is: questions with their context go in, an answer comes out or one of three failures."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from memory.transcripts.model import Label
from molting_agent.runtime.prompt import ChatTurn
from molting_agent.runtime.template import Message

Stop = Literal["stop", "cut", "refused"]


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the person with all that was said before it; scrubbed.

    ``history`` begins and ends with a turn of the person. ``context_ids`` are the messages it was made from, by which
    it is forgotten. ``label`` is the strictest of theirs. ``logged`` is (reply, rationale) where the log has a reply
    that may be learnt from.
    """

    conversation: str
    message: str
    system: str
    history: tuple[ChatTurn, ...]
    context_ids: tuple[str, ...]
    label: Label = "normal"
    started_at: str = ""
    source: Literal["conversation", "file"] = "conversation"
    logged: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as one teacher gets it: ``messages`` with the system prompt first, and its ``key`` in the store.

    ``tokens`` is an estimate of what the teacher will read.
    """

    key: str
    question: Question
    messages: tuple[Message, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Tokens as the teacher counted them, 0 where it did not; ``cached_tokens`` are part of the input.

    ``stop``: ``stop`` (finished), ``cut`` (at the token limit) or ``refused`` (by the provider's filter).
    """

    text: str
    thinking: str = ""
    stop: Stop = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens: int = 0


class Unavailable(Exception):  # noqa: N818 - not an error yet: it is tried again
    """No answer now (429, 5xx, silence, an unreadable body); ``after_s`` is the wait that the server asked for."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Rejected(Exception):  # noqa: N818 - of one prompt, the others go on
    """The teacher does not take this one prompt (400, 413, 422), however often it is asked."""


class Stopped(Exception):  # noqa: N818 - a request, not a failure
    """The person asked to stop while this prompt was waiting or being answered."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What the collecting needs to know of a teacher.

    ``identity`` is all that shapes its answers (model and settings, no prices, no key): part of every reply's key.
    ``asks_rationale`` says that the prompt asks for the form of ``reply_format``. ``window_tokens`` is what a prompt
    may take, ``reply_tokens`` the most that an answer costs.
    """

    name: str
    kind: str
    model: str
    remote: bool
    identity: dict[str, Any] = field(default_factory=dict)
    asks_rationale: bool = False
    window_tokens: int = 1 << 40
    reply_tokens: int = 0
    concurrency: int = 1
    retries: int = 0
    costs_tokens: bool = True
    usd_per_million_in: float = 0.0
    usd_per_million_out: float = 0.0


class Teacher(Protocol):
    """One writing teacher; ``ask`` may be called from ``traits.concurrency`` threads at once."""

    @property
    def traits(self) -> Traits: ...

    def ask(self, prompt: Prompt) -> Answer:
        """The answer. Raises Unavailable, Rejected, Stopped, or TrainingError when going on makes no sense."""
        ...

    def close(self) -> None:
        """Let go of connections and processes; safe to call twice."""
        ...
