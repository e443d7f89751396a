"""The rule of what may be learnt from: which replies of a conversation are targets, and why the others are not."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from distill.manifest import target_ids
from distill.registry import Registry
from memory.errors import MoltError
from memory.transcripts.model import Transcript, Turn


@dataclass(frozen=True, slots=True)
class Target:
    """One reply to be learnt: ``text`` is what stands now (the edit where there is one), ``why`` the ground for it."""

    conversation: str
    message: str
    turn: int
    text: str
    why: str
    started_at: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Conversation id, message id and the sha256 of the text: a new edit is something new to learn."""
        return self.conversation, self.message, hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Learnable:
    """What a home offers to learn from: all targets, and those that the champion has not seen yet."""

    total: int
    new: int
    needed: int

    @property
    def missing(self) -> int:
        """How many new replies are still needed; 0 when a retraining may start."""
        return max(0, self.needed - self.new)


def why_not(turn: Turn, *, own: bool) -> str:
    """Why a reply may not be a target; "" when it may.

    Labels and trust come first and no approval lifts them. A reply that a molt spoke (or any of our own log) needs the
    person's thumb up or edit: a student never learns from itself unchecked.
    """
    if turn.label != "normal":
        return f"labelled {turn.label}"
    if turn.trust == "untrusted":
        return "untrusted text"
    if not turn.final_text.strip():
        return "empty reply"
    if turn.approved is False and turn.edited_text is None:
        return "thumb down"
    if (own or turn.spoken_by is not None) and turn.edited_text is None and turn.approved is not True:
        return "own reply, neither approved nor edited"
    return ""


def targets_of(transcript: Transcript) -> tuple[list[Target], Counter[str]]:
    """The targets of one conversation in order, and how many replies were left out, by reason."""
    targets: list[Target] = []
    left_out: Counter[str] = Counter()
    for index, turn in enumerate(transcript.turns):
        if turn.role != "assistant":
            continue
        reason = why_not(turn, own=transcript.own)
        if reason:
            left_out[reason] += 1
            continue
        why = "edited" if turn.edited_text is not None else "approved" if turn.approved else "imported"
        targets.append(Target(transcript.id, turn.id, index, turn.final_text, why, transcript.started_at))
    return targets, left_out


def learnt_keys(registry: Registry, base_sha256: str) -> set[tuple[str, str, str]]:
    """What needs no new molt: targets of the champion, and of newer molts that the gate turned down."""
    try:
        champion = registry.champion(base_sha256)
    except MoltError:
        champion = None
    learnt = target_ids(champion.manifest) if champion else set()
    for molt in registry.list(base_sha256):
        if molt.verdict != "promoted" and molt.number > (champion.number if champion else 0):
            learnt |= target_ids(molt.manifest)
    return learnt


def learnable(
    conversations: Iterable[Transcript], registry: Registry, base_sha256: str, *, needed: int = 2
) -> Learnable:
    """Count what could be learnt; cheap enough for a status line (reads manifests, no model)."""
    learnt = learnt_keys(registry, base_sha256)
    total = new = 0
    for transcript in conversations:
        for target in targets_of(transcript)[0]:
            total += 1
            new += target.key not in learnt
    return Learnable(total, new, needed)
