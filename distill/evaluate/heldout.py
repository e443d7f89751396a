"""Bits per byte of held-out replies, scored by the runtime in the runtime's own prompt."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill.dataset import Dialogue, segments_of
from molting_agent.runtime.protocol import Engine


@dataclass(frozen=True, slots=True)
class HeldoutScore:
    """``bits`` and ``bytes`` of each conversation, in the order given: the replies' own bytes, markup not counted."""

    bits: tuple[float, ...]
    bytes: tuple[int, ...]

    @property
    def bits_per_byte(self) -> float:
        return sum(self.bits) / sum(self.bytes) if self.bytes else float("nan")


def score_heldout(
    engine: Engine, dialogues: Sequence[Dialogue], system: str, *, on_item: Callable[[], None] = lambda: None
) -> HeldoutScore:
    """Score every target reply given all that stands before it, the true history included.

    A conversation longer than the window loses its oldest turns. The system prompt is the same throughout, so its KV
    state is evaluated once.
    """
    info = engine.info
    bits: list[float] = []
    sizes: list[int] = []
    for dialogue in dialogues:
        segments, prefix = segments_of(dialogue, system, info)
        lengths = [len(ids) for ids in engine.tokenize(segments)]
        first = prefix
        while sum(lengths[:prefix]) + sum(lengths[first:]) > info.context_tokens:
            first += 1
        score = engine.score([*segments[:prefix], *segments[first:]])
        targets = [segment for segment in segments[first:] if segment.target]
        # The token that ends a turn is learnt, but it has no bytes of its own to be counted by.
        words = [(nats, size) for nats, size, s in zip(score.nats, score.bytes, targets, strict=True) if not s.special]
        bits.append(sum(nats for nats, _size in words) / math.log(2))
        sizes.append(sum(size for _nats, size in words))
        on_item()
    return HeldoutScore(tuple(bits), tuple(sizes))
