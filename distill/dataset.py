"""From transcripts to training examples: filtered, scrubbed, sides fixed by hash, in the runtime's own tokens."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from distill.config import DistillConfig
from distill.dialogue import Dialogue, MemoryBlock, dialogue_of, divide, part_of, segments_of
from distill.filters import near_copies, same_words
from distill.pairs import Pair, pairs_of
from distill.scrubbed import scrubbed
from distill.targets import Target
from memory.transcripts.model import Transcript
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message, count_prefix, render

# Shares are compared with the first 8 hex digits of a sha256.
HASH_SPAN = 16**8
NEAR_COPY, COPY_OF_LABELLED = "in a near-copy of another conversation", "in a near-copy of a labelled conversation"
REPEATED = "said more often than reply_repeats"


@dataclass(frozen=True, slots=True)
class Example:
    """A dialogue in tokens, without the system prompt that will stand before it.

    ``is_target`` has one value a token: True where the token is learnt (a reply's words and the end of its turn).
    ``task`` is ``predict`` (a reply), ``explain`` (its rationale) or ``read`` (a lesson in reading memories); ``epoch``
    is the only epoch it is shown in, -1 for all.
    """

    conversation: str
    tokens: tuple[int, ...]
    is_target: tuple[bool, ...]
    targets: tuple[Target, ...]
    started_at: str
    task: str = "predict"
    epoch: int = -1

    @property
    def target_tokens(self) -> int:
        return sum(self.is_target)


@dataclass(slots=True)
class Split:
    """Dialogues by side, the preference pairs of both, and what was left out (replies) and scrubbed, by kind.

    ``newest`` are the ids of the held-out conversations that are also reported apart, ``copies`` those of near-copies,
    which are on neither side.
    """

    train: list[Dialogue] = field(default_factory=list)
    heldout: list[Dialogue] = field(default_factory=list)
    newest: frozenset[str] = frozenset()
    copies: frozenset[str] = frozenset()
    pairs: list[Pair] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    redactions: Counter[str] = field(default_factory=Counter)
    read: int = 0


@dataclass(slots=True)
class _Found:
    """A conversation on its way to a side; ``words`` is what it is compared by (no memories, no system prompt)."""

    dialogue: Dialogue
    pairs: list[Pair]
    words: str
    redactions: Counter[str]

    @property
    def has_verdict(self) -> bool:
        return any(target.why != "imported" for target in self.dialogue.targets)


def hash_share(conversation: str) -> float:
    """A number in [0, 1) that depends on the conversation's id alone."""
    return int(hashlib.sha256(conversation.encode()).hexdigest()[:8], 16) / HASH_SPAN


def split(
    transcripts: Iterable[Transcript], config: DistillConfig, memory_block: MemoryBlock = lambda _ids: ""
) -> Split:
    """Choose what is learnt and divide it into training and held-out by the hash of the conversation's id.

    Every retraining and every written dataset goes through here. What passes the rule of the targets is scrubbed once
    more (notes shown as memories never were), near-copies and replies said too often go before the sides are drawn, so
    that no copy stands on both. Own conversations serve training (the person's verdict is a wish to have it learnt)
    until there are ``own_heldout_from`` of them; from then on the same hash decides. Held-out conversations beyond
    ``heldout_max`` are dropped, not trained on.
    """
    result = Split()
    found: list[_Found] = []
    labelled: list[str] = []
    for transcript in transcripts:
        result.read += 1
        if transcript.turns and all(turn.label != "normal" for turn in transcript.turns):
            labelled.append(_words(transcript))
        conversation, left_out = _read(transcript, config, memory_block)
        result.left_out.update(left_out)
        found += [conversation] if conversation else []
    apart = _without_copies(found, labelled, config, result.left_out)
    kept = {conversation.dialogue.conversation for conversation in apart}
    result.copies = frozenset(c.dialogue.conversation for c in found) - kept
    found = _once_each(apart, config, result.left_out)
    own = sum(1 for conversation in found if conversation.dialogue.own)
    for conversation in found:
        dialogue = conversation.dialogue
        may_be_held_out = not dialogue.own or own >= config.own_heldout_from
        if may_be_held_out and hash_share(dialogue.conversation) < config.heldout_share:
            result.heldout.append(dialogue)
        else:
            result.train.append(dialogue)
    result.heldout.sort(key=lambda dialogue: hash_share(dialogue.conversation))
    if len(result.heldout) > config.heldout_max:
        result.left_out["held-out conversations beyond heldout_max"] += len(result.heldout) - config.heldout_max
        del result.heldout[config.heldout_max :]
    latest = sorted(result.heldout, key=lambda dialogue: dialogue.started_at, reverse=True)
    result.newest = frozenset(d.conversation for d in latest[: round(config.newest_share * len(latest))])
    used = {dialogue.conversation for dialogue in (*result.train, *result.heldout)}
    for item in found:
        if item.dialogue.conversation in used:
            result.pairs += item.pairs
            result.redactions.update(item.redactions)
    return result


def _read(
    transcript: Transcript, config: DistillConfig, memory_block: MemoryBlock
) -> tuple[_Found | None, Counter[str]]:
    """One conversation, and its replies left out by reason; None when nothing in it may be learnt."""
    dialogue, left_out = dialogue_of(transcript, memory_block, config.min_reply_words)
    if dialogue is None:
        return None, left_out
    clean = scrubbed(transcript)
    dialogue, left_out = dialogue_of(clean.transcript, clean.block(memory_block), config.min_reply_words)
    if dialogue is None:
        return None, left_out
    said = {target.turn: transcript.turns[target.turn].final_text for target in dialogue.targets}
    targets = tuple(clean.with_digest(target, said[target.turn]) for target in dialogue.targets)
    pairs = pairs_of(clean.transcript, clean.block(memory_block), config.min_reply_words)
    return _Found(replace(dialogue, targets=targets), pairs, _words(transcript), clean.found), left_out


def _words(transcript: Transcript) -> str:
    return "\n".join(turn.final_text for turn in transcript.turns if turn.role != "tool")


def _without_copies(
    found: list[_Found], labelled: list[str], config: DistillConfig, left_out: Counter[str]
) -> list[_Found]:
    """Of near-copies the one with the person's verdict stays, then the older, then the longer.

    A near-copy of a conversation that is labelled throughout goes as well: its words are the same.
    """
    order = sorted(
        range(len(found)),
        key=lambda i: (
            not found[i].has_verdict,
            found[i].dialogue.started_at or "~",
            -len(found[i].words),
            found[i].dialogue.conversation,
        ),
    )
    copies = near_copies([*labelled, *(found[i].words for i in order)], config.near_copy_jaccard)
    dropped = set()
    for number, original in copies.items():
        if number >= len(labelled):
            index = order[number - len(labelled)]
            dropped.add(index)
            reason = COPY_OF_LABELLED if original < len(labelled) else NEAR_COPY
            left_out[reason] += len(found[index].dialogue.targets)
    return [conversation for index, conversation in enumerate(found) if index not in dropped]


def _once_each(found: list[_Found], config: DistillConfig, left_out: Counter[str]) -> list[_Found]:
    """The same words are a target ``reply_repeats`` times, in the oldest places; the person's verdicts always count."""
    seen: Counter[str] = Counter()
    kept: list[_Found] = []
    for conversation in sorted(found, key=lambda item: (not item.has_verdict, item.dialogue.started_at or "~")):
        dialogue = conversation.dialogue
        targets = iter(dialogue.targets)
        messages, chosen = [], []
        for message in dialogue.messages:
            target = next(targets) if message.target else None
            if target:
                words = same_words(target.text)
                seen[words] += 1
                if target.why == "imported" and seen[words] > config.reply_repeats:
                    left_out[REPEATED] += 1
                    target = None
            messages.append(replace(message, target=target is not None))
            chosen += [target] if target else []
        changed = replace(dialogue, messages=tuple(messages), targets=tuple(chosen))
        whole = part_of(changed, range(len(messages)))
        if whole is not None:
            kept.append(replace(conversation, dialogue=whole))
    places = {item.dialogue.conversation: number for number, item in enumerate(found)}
    return sorted(kept, key=lambda item: places[item.dialogue.conversation])


def prefix_tokens(system: str, engine: Engine) -> list[int]:
    """The tokens of the system message: what every row of this prompt begins with."""
    info = engine.info
    probe = [Message("system", system), Message("user", "x")]
    segments = render(info.chat_template, probe, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False)
    return [token for ids in engine.tokenize(segments[: count_prefix(segments, 1)]) for token in ids]


def costs_of(dialogue: Dialogue, engine: Engine, config: DistillConfig) -> list[int]:
    """The tokens of each message, the markup before it included."""
    segments, prefix = segments_of(dialogue, config.short_system, engine.info)
    costs = [0] * len(dialogue.messages)
    message = 0
    for segment, ids in zip(segments[prefix:], engine.tokenize(segments)[prefix:], strict=True):
        # Markup counts to the message it follows; message 0 of the prompt is the system message.
        message = segment.message - 1 if segment.message > 0 else message
        costs[message] += len(ids)
    return costs


def lessons(dialogue: Dialogue, engine: Engine, config: DistillConfig) -> tuple[list[tuple[Dialogue, Example]], int]:
    """Parts of at most ``conversation_tokens``, each in words and in tokens, and how many targets fit into none."""
    parts, too_long = divide(dialogue, costs_of(dialogue, engine, config), config.conversation_tokens)
    return [(part, example_of(part, engine, config)) for part in parts], too_long


def tokenize(dialogue: Dialogue, engine: Engine, config: DistillConfig) -> tuple[list[Example], int]:
    """Examples of at most ``conversation_tokens``, and how many targets were too long for any."""
    found, too_long = lessons(dialogue, engine, config)
    return [example for _part, example in found], too_long


def example_of(dialogue: Dialogue, engine: Engine, config: DistillConfig) -> Example:
    """A dialogue in the runtime's tokens, whole, up to its last target."""
    segments, prefix = segments_of(dialogue, config.short_system, engine.info)
    tokens: list[int] = []
    is_target: list[bool] = []
    for segment, ids in zip(segments[prefix:], engine.tokenize(segments)[prefix:], strict=True):
        tokens.extend(ids)
        is_target.extend([segment.target] * len(ids))
    # What follows the last target teaches nothing and costs time.
    end = len(is_target) - is_target[::-1].index(True)
    return Example(
        dialogue.conversation, tuple(tokens[:end]), tuple(is_target[:end]), dialogue.targets, dialogue.started_at
    )
