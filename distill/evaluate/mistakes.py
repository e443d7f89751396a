"""Marked mistakes: does a side find a reply that the person turned down likelier, beside the one that was wanted?"""

import math
from collections.abc import Callable, Sequence

from distill.pairs import Pair
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message, render


def score_mistakes(
    engine: Engine, pairs: Sequence[Pair], system: str, *, on_item: Callable[[], None] = lambda: None
) -> list[float]:
    """For each pair the bits per byte by which the rejected reply is less likely than the chosen one.

    Higher is better; a side whose value is lower than another's has moved towards the mistake.
    """
    found = []
    for pair in pairs:
        rejected, chosen = (_bits_per_byte(engine, pair, text, system) for text in (pair.rejected, pair.chosen))
        found.append(rejected - chosen)
        on_item()
    return found


def _bits_per_byte(engine: Engine, pair: Pair, reply: str, system: str) -> float:
    info = engine.info
    messages = [Message("system", system), *pair.prompt, Message("assistant", reply, target=True)]
    segments = render(
        info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token, generate=False
    )
    words = [s for s in segments if s.target and not s.special]
    score = engine.score(segments[: segments.index(words[0]) + 1])
    return sum(score.nats) / math.log(2) / max(1, sum(score.bytes))
