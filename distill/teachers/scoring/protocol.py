"""What a scoring teacher is: one dialogue goes in, what it says of each target reply's tokens comes out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from distill.signals.record import Signal
from distill.teachers.protocol import Rejected
from memory.transcripts.model import Label
from molting_agent.runtime.template import Message

TOP_K = 32
# Denser near 1, where the tail is large and bends most: between any two of these, and 1, which needs no storing, the
# interpolated teacher is within 2e-4 nats of the whole one (mean KL on the embedded model; 4e-3 without 1.25 and 1.5).
TEMPERATURES = (1.25, 1.5, 2.0, 3.0, 5.0)
UNSPELT = "its tokens do not spell the reply"


@dataclass(frozen=True, slots=True)
class Request:
    """One dialogue to score: ``messages`` with the system message first, the replies to score marked as targets.

    ``ids`` are the conversation and messages it was made from, by which its signals are forgotten; ``label`` is the
    strictest of theirs.
    """

    messages: tuple[Message, ...]
    ids: tuple[str, ...] = ()
    label: Label = "normal"

    @property
    def targets(self) -> tuple[int, ...]:
        """Places of the target replies in ``messages``."""
        return tuple(place for place, message in enumerate(self.messages) if message.target)


@dataclass(frozen=True, slots=True)
class ScoringTraits:
    """What filling a store needs to know of a teacher.

    ``identity`` is all that shapes what it says (weights, adapter, what it adds to the context, top-k, temperatures):
    part of every signal's key. ``same_vocabulary`` as the student: else its signals are likelihood alone (k = 0).
    ``context_ids`` are the memories it reads beside each dialogue: forgetting one forgets all that was said under it.
    """

    name: str
    kind: str
    model: str
    remote: bool = False
    same_vocabulary: bool = True
    identity: dict[str, Any] = field(default_factory=dict)
    context_ids: tuple[str, ...] = ()
    concurrency: int = 1
    retries: int = 0


class ScoringTeacher(Protocol):
    """One scoring teacher; ``score`` may be called from ``traits.concurrency`` threads at once."""

    @property
    def traits(self) -> ScoringTraits: ...

    def score(self, request: Request) -> list[Signal]:
        """One signal a target reply, in order.

        Raises Unavailable (tried again), Rejected (this dialogue cannot be scored: too long, not spelt by its tokens),
        Stopped, or a MoltingError when going on makes no sense.
        """
        ...

    def close(self) -> None:
        """Let go of connections and processes; safe to call twice."""
        ...


def key_of(traits: ScoringTraits, messages: Sequence[Message], place: int) -> str:
    """Hex sha256 over the teacher, all that stands before the reply at ``place``, and its text."""
    context = [[message.role, message.content] for message in messages[: place + 1]]
    named = json.dumps([traits.identity, context], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(named.encode()).hexdigest()


def form_of(same_vocabulary: bool) -> tuple[int, tuple[float, ...]]:
    """Top-k and temperatures that a teacher at hand gives; of another vocabulary, the label's likelihood alone."""
    return (TOP_K, TEMPERATURES) if same_vocabulary else (0, ())


def too_long(window_tokens: int) -> Rejected:
    """Why a dialogue that does not fit is left out."""
    return Rejected(f"longer than the teacher's window of {window_tokens:,} tokens")
