"""The rule of what may be learnt from: which replies of a conversation are targets, and why the others are not."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from distill.filters import MIN_REPLY_WORDS, why_boilerplate
from distill.manifest import target_ids
from distill.registry import Registry
from memory.errors import MoltError
from memory.transcripts.model import Transcript, Turn
from memory.transcripts.writer import FORGOTTEN

UNAPPROVED = "own reply, neither approved nor edited"


@dataclass(frozen=True, slots=True)
class Target:
    """One reply to be learnt: ``text`` is what stands now (the edit where there is one), ``why`` the ground for it.

    ``rationale`` is what was thought before it, "" where none was logged. ``said_sha256`` is the digest of the reply as
    the memory holds it, where scrubbing changed the text on its way here.
    """

    conversation: str
    message: str
    turn: int
    text: str
    why: str
    started_at: str
    rationale: str = ""
    said_sha256: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Conversation id, message id and the sha256 of the text: a new edit is something new to learn."""
        return self.conversation, self.message, self.said_sha256 or text_sha256(self.text)


def text_sha256(text: str) -> str:
    """Hex sha256 of a reply's UTF-8 bytes, the third part of its key."""
    return hashlib.sha256(text.encode()).hexdigest()


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


def why_not(turn: Turn, *, own: bool, min_reply_words: int = MIN_REPLY_WORDS) -> str:
    """Why a reply may not be a target; "" when it may.

    Labels and trust come first and no approval lifts them. A reply that a molt spoke (or any of our own log) needs the
    person's thumb up or edit: a student never learns from itself unchecked. Where nobody gave a verdict, boilerplate
    and replies that were stopped in the middle are left out; a verdict says that the reply is wanted as it stands.
    """
    edited = turn.edited_text is not None
    rules = (
        (turn.label != "normal", f"labelled {turn.label}"),
        (turn.trust == "untrusted", "untrusted text"),
        (turn.text == FORGOTTEN, "forgotten"),
        (not turn.final_text.strip(), "empty reply"),
        (turn.approved is False and not edited, "thumb down"),
        ((own or turn.spoken_by is not None) and not edited and turn.approved is not True, UNAPPROVED),
        (turn.stopped and not edited and turn.approved is not True, "stopped in the middle"),
    )
    reason = next((reason for holds, reason in rules if holds), "")
    if reason or edited or turn.approved:
        return reason
    return why_boilerplate(turn.text, min_reply_words)


def targets_of(transcript: Transcript, min_reply_words: int = MIN_REPLY_WORDS) -> tuple[list[Target], Counter[str]]:
    """The targets of one conversation in order, and how many replies were left out, by reason."""
    targets: list[Target] = []
    left_out: Counter[str] = Counter()
    for index, turn in enumerate(transcript.turns):
        if turn.role != "assistant":
            continue
        reason = why_not(turn, own=transcript.own, min_reply_words=min_reply_words)
        if reason:
            left_out[reason] += 1
            continue
        why = "edited" if turn.edited_text is not None else "approved" if turn.approved else "imported"
        # An edited reply is no longer what its rationale led to.
        rationale = "" if turn.edited_text is not None else turn.rationale
        targets.append(Target(transcript.id, turn.id, index, turn.final_text, why, transcript.started_at, rationale))
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
