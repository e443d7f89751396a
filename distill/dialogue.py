"""One conversation as the messages of a prompt: what is context, what is learnt, and where it may be cut."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill.filters import MIN_REPLY_WORDS
from distill.targets import Target, targets_of
from memory.transcripts.model import Transcript
from memory.transcripts.writer import FORGOTTEN
from molting_agent.runtime.prompt import ChatTurn, user_content
from molting_agent.runtime.protocol import EngineInfo, Segment
from molting_agent.runtime.template import Message, count_prefix, render

MemoryBlock = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation, or a part of it between two turns: what follows the system message, some of it targets.

    ``ids`` names the source of each message: its own id, then the ids of the memories shown with it; () where unknown.
    """

    conversation: str
    messages: tuple[Message, ...]
    targets: tuple[Target, ...]
    own: bool
    started_at: str
    ids: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn as the model reads it; ``turn`` is its place in the transcript."""

    turn: int
    message: Message
    ids: tuple[str, ...]


def spoken(transcript: Transcript, memory_block: MemoryBlock) -> list[Spoken]:
    """What of a conversation may stand in a prompt, in order.

    It ends before the first turn with a label: private words are not even context. Tool output and forgotten turns are
    left out, memories stand before the question they were shown with, an edited reply reads as edited, and what comes
    before the first question is left out: nothing stands there that it could answer.
    """
    found: list[Spoken] = []
    for index, turn in enumerate(transcript.turns):
        if turn.label != "normal":
            break
        if turn.role == "tool" or not turn.final_text.strip() or turn.text == FORGOTTEN:
            continue
        if turn.role == "user":
            shown = _shown_with(transcript, index)
            text = user_content(ChatTurn("user", turn.text, memory_block(shown) if shown else ""))
            found.append(Spoken(index, Message("user", text), (turn.id, *shown)))
        elif found:
            found.append(Spoken(index, Message("assistant", turn.final_text), (turn.id,)))
    return found


def dialogue_of(
    transcript: Transcript, memory_block: MemoryBlock, min_reply_words: int = MIN_REPLY_WORDS
) -> tuple[Dialogue | None, Counter[str]]:
    """The conversation as messages, None when nothing in it may be learnt, and the replies left out by reason."""
    targets, left_out = targets_of(transcript, min_reply_words)
    chosen = {target.turn: target for target in targets}
    said = spoken(transcript, memory_block)
    labelled = next((i for i, turn in enumerate(transcript.turns) if turn.label != "normal"), len(transcript.turns))
    kept = [chosen[item.turn] for item in said if item.turn in chosen]
    if after := sum(1 for target in targets if target.turn > labelled):
        left_out[f"after a turn labelled {transcript.turns[labelled].label}"] += after
    if headless := len(targets) - after - len(kept):
        left_out["reply before the first question"] += headless
    while said and said[-1].turn not in chosen:
        said.pop()
    if not kept:
        return None, left_out
    return (
        Dialogue(
            transcript.id,
            tuple(Message(s.message.role, s.message.content, target=s.turn in chosen) for s in said),
            tuple(kept),
            transcript.own,
            transcript.started_at,
            tuple(item.ids for item in said),
            str(transcript.path),
            transcript.format,
        ),
        left_out,
    )


def _shown_with(transcript: Transcript, question: int) -> tuple[str, ...]:
    """The ids of the memories that stood beside a question: those its reply was shown."""
    reply = transcript.turns[question + 1] if question + 1 < len(transcript.turns) else None
    return reply.shown_memories if reply and reply.role == "assistant" else ()


def part_of(dialogue: Dialogue, indices: Sequence[int]) -> Dialogue | None:
    """The messages at ``indices`` up to the last target among them; None when there is none."""
    numbered = dict(zip((i for i, m in enumerate(dialogue.messages) if m.target), dialogue.targets, strict=True))
    last = max((place for place, index in enumerate(indices) if index in numbered), default=-1)
    taken = indices[: last + 1]
    if not taken:
        return None
    return Dialogue(
        dialogue.conversation,
        tuple(dialogue.messages[index] for index in taken),
        tuple(numbered[index] for index in taken if index in numbered),
        dialogue.own,
        dialogue.started_at,
        tuple(dialogue.ids[index] for index in taken) if dialogue.ids else (),
        dialogue.source,
        dialogue.format,
    )


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
    found = [part_of(dialogue, part) for part in parts]
    return [part for part in found if part is not None], too_long


def segments_of(dialogue: Dialogue, system: str, info: EngineInfo) -> tuple[list[Segment], int]:
    """The rendered conversation under a system prompt, and how many leading segments the system message takes."""
    messages = [Message("system", system), *dialogue.messages]
    segments = render(
        info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False
    )
    return segments, count_prefix(segments, 1)
