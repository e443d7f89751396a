"""Gathers what a retraining needs from a home: who he is, and the conversations he may learn from, in tokens."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distill.config import DistillConfig
from distill.dataset import Example, Split, costs_of, lessons, prefix_tokens, split
from distill.dialogue import Dialogue
from distill.pairs import Pair, shortened
from memory.api import Memory, memory_block
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.prompt import read_identity
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything in tokens, and the held-out dialogues in words (the runtime renders them when it judges).

    ``parts`` are the examples in words, one for one. ``redactions`` counts what was scrubbed, ``newest`` names the
    held-out conversations that are reported apart, ``read`` says how many conversations the memory holds.
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


def collect(home: Home, engine: Engine, config: DistillConfig) -> Collected:
    """Read the home's memory and tokenise what may be learnt. Errors: TrainingError when the identity is missing."""
    system = read_identity(home.identity_dir)
    if not system:
        raise TrainingError(f"{home.identity_dir} holds no SOUL.md; make a home first: molt")
    sides = _sides(home, config)
    examples: list[Example] = []
    parts: list[Dialogue] = []
    left_out = Counter(sides.left_out)
    for dialogue in sides.train:
        found, too_long = lessons(dialogue, engine, config)
        parts.extend(part for part, _example in found)
        examples.extend(example for _part, example in found)
        left_out["longer than conversation_tokens"] += too_long
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
    )


def _sides(home: Home, config: DistillConfig) -> Split:
    memory = Memory(home)
    try:
        memory.sync()

        def block(ids: Sequence[str]) -> str:
            # A labelled note may be shown in a talk, but no weights may learn to expect it.
            return memory_block([found for found in memory.get(ids) if found.label == "normal"])

        return split(memory.conversations(), config, block)
    finally:
        memory.close()


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
