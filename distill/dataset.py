"""From transcripts to training examples: sides fixed by hash, tokens through the runtime's own rendering."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from distill.config import DistillConfig
from distill.targets import Target, targets_of
from memory.transcripts.model import Transcript
from molting_agent.runtime.prompt import ChatTurn, user_content
from molting_agent.runtime.protocol import Engine, EngineInfo, Segment
from molting_agent.runtime.template import Message, count_prefix, render

# Shares are compared with the first 8 hex digits of a sha256.
HASH_SPAN = 16**8

MemoryBlock = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation, or a part of it between two turns: what follows the system message, some of it targets."""

    conversation: str
    messages: tuple[Message, ...]
    targets: tuple[Target, ...]
    own: bool
    started_at: str


@dataclass(frozen=True, slots=True)
class Example:
    """A dialogue in tokens, without the system prompt that will stand before it.

    ``is_target`` has one value a token: True where the token is learnt (a reply's words and the end of its turn).
    """

    conversation: str
    tokens: tuple[int, ...]
    is_target: tuple[bool, ...]
    targets: tuple[Target, ...]
    started_at: str

    @property
    def target_tokens(self) -> int:
        return sum(self.is_target)


@dataclass(slots=True)
class Split:
    """Dialogues by side, and what was left out and why."""

    train: list[Dialogue] = field(default_factory=list)
    heldout: list[Dialogue] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def hash_share(conversation: str) -> float:
    """A number in [0, 1) that depends on the conversation's id alone."""
    return int(hashlib.sha256(conversation.encode()).hexdigest()[:8], 16) / HASH_SPAN


def split(
    transcripts: Iterable[Transcript], config: DistillConfig, memory_block: MemoryBlock = lambda _ids: ""
) -> Split:
    """Divide conversations into training and held-out by the hash of their id, so that none ever changes sides.

    Own conversations serve training (the person's verdict is a wish to have it learnt) until there are
    ``own_heldout_from`` of them; from then on the same hash decides. Held-out conversations beyond ``heldout_max`` are
    dropped, not trained on.
    """
    found = [(transcript, *dialogue_of(transcript, memory_block)) for transcript in transcripts]
    own = sum(1 for transcript, dialogue, _left_out in found if transcript.own and dialogue)
    result = Split()
    for transcript, dialogue, left_out in found:
        result.left_out.update(left_out)
        if dialogue is None:
            continue
        may_be_held_out = not transcript.own or own >= config.own_heldout_from
        if may_be_held_out and hash_share(transcript.id) < config.heldout_share:
            result.heldout.append(dialogue)
        else:
            result.train.append(dialogue)
    result.heldout.sort(key=lambda dialogue: hash_share(dialogue.conversation))
    if len(result.heldout) > config.heldout_max:
        result.left_out["held-out conversations beyond heldout_max"] += len(result.heldout) - config.heldout_max
        del result.heldout[config.heldout_max :]
    return result


def dialogue_of(transcript: Transcript, memory_block: MemoryBlock) -> tuple[Dialogue | None, Counter[str]]:
    """The conversation as messages, None when nothing in it may be learnt, and the replies left out by reason.

    It ends before the first turn with a label: private words are not even context. Tool output is left out, memories
    stand before the question they were shown with, an edited reply reads as edited.
    """
    targets, left_out = targets_of(transcript)
    chosen = {target.turn: target for target in targets}
    messages: list[Message] = []
    kept: list[Target] = []
    for index, turn in enumerate(transcript.turns):
        if turn.label != "normal":
            after = sum(1 for target in targets if target.turn > index)
            if after:
                left_out[f"after a turn labelled {turn.label}"] += after
            break
        if turn.role == "tool" or not turn.final_text.strip():
            continue
        if turn.role == "user":
            shown = _shown_with(transcript, index)
            messages.append(
                Message("user", user_content(ChatTurn("user", turn.text, memory_block(shown) if shown else "")))
            )
            continue
        if not messages:
            # A reply without a question: nothing stands before it that it could answer.
            left_out["reply before the first question"] += index in chosen
            continue
        target = chosen.get(index)
        messages.append(Message("assistant", turn.final_text, target=target is not None))
        if target:
            kept.append(target)
    while messages and not messages[-1].target:
        messages.pop()
    left_out = Counter({reason: count for reason, count in left_out.items() if count})
    if not kept:
        return None, left_out
    return Dialogue(transcript.id, tuple(messages), tuple(kept), transcript.own, transcript.started_at), left_out


def _shown_with(transcript: Transcript, question: int) -> tuple[str, ...]:
    """The ids of the memories that stood beside a question: those its reply was shown."""
    reply = transcript.turns[question + 1] if question + 1 < len(transcript.turns) else None
    return reply.shown_memories if reply and reply.role == "assistant" else ()


def divide(dialogue: Dialogue, costs: Sequence[int], limit_tokens: int) -> tuple[list[Dialogue], int]:
    """Parts of at most ``limit_tokens``, cut only before a question, and how many targets fit into no part.

    ``costs`` gives the tokens of each message with its markup. A question whose answers alone are longer than the limit
    is left out.
    """
    blocks: list[list[int]] = []
    for index, message in enumerate(dialogue.messages):
        if message.role == "user" and (not blocks or dialogue.messages[blocks[-1][-1]].role != "user"):
            blocks.append([])
        blocks[-1].append(index)
    parts: list[list[int]] = []
    too_long = used = 0
    for block in blocks:
        cost = sum(costs[index] for index in block)
        if cost > limit_tokens:
            too_long += sum(dialogue.messages[index].target for index in block)
            used = limit_tokens + 1
            continue
        if used + cost > limit_tokens or not parts:
            parts.append([])
            used = 0
        parts[-1].extend(block)
        used += cost
    numbered = dict(zip((i for i, m in enumerate(dialogue.messages) if m.target), dialogue.targets, strict=True))
    result = []
    for part in parts:
        targets = tuple(numbered[index] for index in part if index in numbered)
        if targets:
            messages = tuple(dialogue.messages[index] for index in part)
            result.append(Dialogue(dialogue.conversation, messages, targets, dialogue.own, dialogue.started_at))
    return result, too_long


def segments_of(dialogue: Dialogue, system: str, info: EngineInfo) -> tuple[list[Segment], int]:
    """The rendered conversation under a system prompt, and how many leading segments the system message takes."""
    messages = [Message("system", system), *dialogue.messages]
    segments = render(
        info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False
    )
    return segments, count_prefix(segments, 1)


def prefix_tokens(system: str, engine: Engine) -> list[int]:
    """The tokens of the system message: what every row of this prompt begins with."""
    info = engine.info
    probe = [Message("system", system), Message("user", "x")]
    segments = render(info.chat_template, probe, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False)
    return [token for ids in engine.tokenize(segments[: count_prefix(segments, 1)]) for token in ids]


def tokenize(dialogue: Dialogue, engine: Engine, config: DistillConfig) -> tuple[list[Example], int]:
    """Examples of at most ``conversation_tokens``, and how many targets were too long for any."""
    segments, prefix = segments_of(dialogue, config.short_system, engine.info)
    costs = [0] * len(dialogue.messages)
    message = 0
    for segment, ids in zip(segments[prefix:], engine.tokenize(segments)[prefix:], strict=True):
        # Markup counts to the message it follows; message 0 of the prompt is the system message.
        message = segment.message - 1 if segment.message > 0 else message
        costs[message] += len(ids)
    parts, too_long = divide(dialogue, costs, config.conversation_tokens)
    return [_example(part, engine, config) for part in parts], too_long


def _example(dialogue: Dialogue, engine: Engine, config: DistillConfig) -> Example:
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
