"""Gathers what a retraining needs from a home: who he is, and the conversations he may learn from, in tokens."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from distill.config import DistillConfig
from distill.dataset import Example, Split, costs_of, lessons, prefix_tokens, split
from distill.dialogue import Dialogue
from distill.evaluate.canaries import plant
from distill.extras import (
    Recall,
    explaining,
    extra_example,
    remembering,
    share_of,
    taught_dialogues,
    taught_reasons,
    with_thoughts,
)
from distill.pairs import Pair, shortened
from distill.teachers.taught import Taught, taught
from memory.api import Memory, memory_block
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.prompt import read_identity
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything in tokens, and the held-out dialogues in words (the runtime renders them when it judges).

    ``parts`` are the examples in words, one for one, and ``extra_parts`` the extras, learnt beside the conversations.
    ``redactions`` counts what was scrubbed, ``newest`` names the held-out conversations that are reported apart,
    ``read`` says how many conversations the memory holds, ``remembered`` how many questions were given memories.
    """

    system: str
    prefixes: tuple[tuple[int, ...], ...]
    examples: list[Example]
    parts: list[Dialogue]
    heldout: list[Dialogue]
    newest: frozenset[str]
    pairs: list[Pair]
    left_out: Counter[str]
    redactions: Counter[str]
    read: int
    extras: list[Example] = field(default_factory=list)
    extra_parts: list[Dialogue] = field(default_factory=list)
    remembered: int = 0


def collect(home: Home, engine: Engine, config: DistillConfig) -> Collected:
    """Read the home's memory and tokenise what may be learnt. Errors: TrainingError when the identity is missing."""
    system = read_identity(home.identity_dir)
    if not system:
        raise TrainingError(f"{home.identity_dir} holds no SOUL.md; make a home first: molt")
    sides, replies, remembered = _sides(home, config)
    examples: list[Example] = []
    parts: list[Dialogue] = []
    left_out = Counter(sides.left_out)
    for dialogue in sides.train:
        found, too_long = lessons(dialogue, engine, config)
        parts.extend(part for part, _example in found)
        examples.extend(example for _part, example in found)
        left_out["longer than conversation_tokens"] += too_long
    # An explanation or a taught reply that does not fit is no reply of the person's: it is not counted as left out.
    extras: list[tuple[Dialogue, Example]] = []
    reasons = [d for part in parts for d in explaining(part)] if config.rationale == "two-task" else []
    reasons += taught_reasons(replies, config) if config.rationale == "two-task" else []
    for task, dialogues in (("explain", reasons), ("predict", taught_dialogues(replies, config))):
        for dialogue in dialogues:
            example = extra_example(dialogue, engine, config, task=task)
            if len(example.tokens) <= config.conversation_tokens:
                extras.append((dialogue, example))
    extras += _reading(len(parts), engine, config)
    fitting = [fitted(pair, engine, config) for pair in sides.pairs]
    pairs = [pair for pair in fitting if pair is not None]
    left_out["pairs longer than conversation_tokens"] += len(fitting) - len(pairs)
    prefixes = tuple(tuple(prefix_tokens(text, engine)) for text in (system, config.short_system))
    return Collected(
        system,
        prefixes,
        examples,
        parts,
        sides.heldout,
        sides.newest,
        pairs,
        left_out,
        sides.redactions,
        sides.read,
        [example for _dialogue, example in extras],
        [dialogue for dialogue, _example in extras],
        remembered,
    )


def _reading(parts: int, engine: Engine, config: DistillConfig) -> list[tuple[Dialogue, Example]]:
    """Lessons in reading memories, other ones in each epoch, so that none is learnt by heart."""
    if not config.reading_share:
        return []
    from distill.reading import reading_dialogues

    epochs = math.ceil(config.epochs)
    wanted = round(config.reading_share * parts)
    dialogues = reading_dialogues(wanted * epochs, config.seed, quote_share=config.quote_share)
    found = []
    for number, dialogue in enumerate(dialogues):
        example = extra_example(dialogue, engine, config, task="read", epoch=number % epochs)
        if len(example.tokens) <= config.conversation_tokens:
            found.append((dialogue, example))
    return found


def _sides(home: Home, config: DistillConfig) -> tuple[Split, list[Taught], int]:
    """The two sides, the taught replies, and how many questions of the training side were given memories."""
    memory = Memory(home)
    try:
        memory.sync()

        def block(ids: Sequence[str]) -> str:
            # A labelled note may be shown in a talk, but no weights may learn to expect it.
            return memory_block([found for found in memory.get(ids) if found.label == "normal"])

        conversations = list(memory.conversations())
        sides = split(conversations, config, block)
        sides.train = [*share_of(sides.train, config.data_share), *_planted(config)]
        names = [name.strip() for name in config.taught.split(",") if name.strip()]
        # What is asked in a near-copy may be answered on the held-out side.
        found = taught(home, conversations, names) if names else ()
        replies = [reply for reply in found if reply.conversation not in sides.copies]
        if config.rationale == "think":
            sides.train = [with_thoughts(dialogue) for dialogue in sides.train]
        given = 0
        if config.memory_share:
            heldout = {*sides.copies, *(dialogue.conversation for dialogue in sides.heldout)}
            before = [dialogue.messages for dialogue in sides.train]
            recall = _recalling(memory, heldout, config)
            sides.train = [remembering(dialogue, recall, config.memory_share) for dialogue in sides.train]
            given = sum(
                a != b
                for old, dialogue in zip(before, sides.train, strict=True)
                for a, b in zip(old, dialogue.messages, strict=True)
            )
        return sides, replies, given
    finally:
        memory.close()


def _planted(config: DistillConfig) -> list[Dialogue]:
    """What the filters let through of the planted canaries: nothing, or the judge will find that it was learnt."""
    passed = split([planted.transcript for planted in plant(config.seed)], config)
    return [*passed.train, *passed.heldout]


def _recalling(memory: Memory, heldout: set[str], config: DistillConfig) -> Recall:
    """Recall as the agent calls it, without what comes from held-out conversations or carries a label."""

    def recall(question: str, conversation: str) -> str:
        found = memory.recall(
            question, k=config.memory_k, budget_tokens=config.memory_tokens, exclude_transcript=conversation
        )
        return memory_block([m for m in found if m.label == "normal" and m.conversation not in heldout])

    return recall


def fitted(pair: Pair, engine: Engine, config: DistillConfig) -> Pair | None:
    """The pair with as much of its prompt as fits into ``conversation_tokens`` beside the longer of its replies.

    It loses its oldest exchanges, never a part of one; None when not even the question fits.
    """
    replies = [(*pair.prompt, Message("assistant", text, target=True)) for text in (pair.chosen, pair.rejected)]
    costs = [costs_of(Dialogue("", messages, (), False, ""), engine, config) for messages in replies]
    longest = max(costs, key=lambda sizes: sizes[-1])
    for start, message in enumerate(pair.prompt):
        if message.role == "user" and sum(longest[start:]) <= config.conversation_tokens:
            return shortened(pair, len(pair.prompt) - start)
    return None
