"""Gathers what a retraining needs from a home: who he is, and the conversations he may learn from, in tokens."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distill.config import DistillConfig
from distill.dataset import Dialogue, Example, prefix_tokens, split, tokenize
from memory.api import Memory, memory_block
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.prompt import read_identity
from molting_agent.runtime.protocol import Engine


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything in tokens, and the held-out dialogues in words (the runtime renders them when it judges)."""

    system: str
    prefixes: tuple[tuple[int, ...], ...]
    examples: list[Example]
    heldout: list[Dialogue]
    left_out: Counter[str]


def collect(home: Home, engine: Engine, config: DistillConfig) -> Collected:
    """Read the home's memory and tokenise what may be learnt. Errors: TrainingError when the identity is missing."""
    system = read_identity(home.identity_dir)
    if not system:
        raise TrainingError(f"{home.identity_dir} holds no SOUL.md; make a home first: molt")
    memory = Memory(home)
    try:
        memory.sync()

        def block(ids: Sequence[str]) -> str:
            return memory_block(memory.get(ids))

        sides = split(memory.conversations(), config, block)
    finally:
        memory.close()
    examples: list[Example] = []
    left_out = Counter(sides.left_out)
    for dialogue in sides.train:
        parts, too_long = tokenize(dialogue, engine, config)
        examples.extend(parts)
        left_out["longer than conversation_tokens"] += too_long
    prefixes = tuple(tuple(prefix_tokens(text, engine)) for text in (system, config.short_system))
    return Collected(system, prefixes, examples, sides.heldout, left_out)
