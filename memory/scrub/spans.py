"""What a detector finds: a piece of the text and the kind of thing it is."""

import re
from typing import NamedTuple

PLACEHOLDER = re.compile(r"\[([A-Z][A-Z0-9_]{0,60})_([1-9][0-9]{0,8})\]")


class Span(NamedTuple):
    """``text[start:end]`` is of this kind; of two that overlap the lower ``rank`` gives the kind."""

    start: int
    end: int
    kind: str
    rank: int


KNOWN, PERSONAL, SPOKEN, REPEATED = range(4)


def joined(spans: list[Span], placeholders: list[tuple[int, int]]) -> list[Span]:
    """Spans in order and without overlap; overlapping ones become one, and none touches an existing placeholder.

    Both lists are walked once: the cost is that of sorting.
    """
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.start < result[-1].end:
            last = result[-1]
            best = min(last, span, key=lambda s: (s.rank, s.start - s.end))
            result[-1] = Span(last.start, max(last.end, span.end), best.kind, best.rank)
        else:
            result.append(span)
    free: list[Span] = []
    at = 0
    for span in result:
        while at < len(placeholders) and placeholders[at][1] <= span.start:
            at += 1
        if at == len(placeholders) or placeholders[at][0] >= span.end:
            free.append(span)
    return free
