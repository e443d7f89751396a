"""Character ranges that stay on their words when pieces of the text are replaced."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

Range = tuple[int, int]


class Cut(NamedTuple):
    """``text[start:end]`` was replaced by ``length`` characters."""

    start: int
    end: int
    length: int


def moved(ranges: Sequence[Range], cuts: Sequence[Cut]) -> tuple[Range, ...]:
    """``ranges`` of the old text as ranges of the new one; ``cuts`` are in order and do not overlap.

    A border inside a replaced piece moves outwards, so that the range still covers all it covered. Empty ones go.
    """
    if not cuts or not ranges:
        return tuple(ranges)
    starts = [cut.start for cut in cuts]
    shifts = [0, *accumulate(cut.length - (cut.end - cut.start) for cut in cuts)]

    def new_place(at: int, *, is_end: bool) -> int:
        index = bisect_right(starts, at) - 1
        if index < 0:
            return at
        cut = cuts[index]
        if at >= cut.end:
            return at + shifts[index + 1]
        return cut.end + shifts[index + 1] if is_end and at > cut.start else cut.start + shifts[index]

    places = [(new_place(start, is_end=False), new_place(end, is_end=True)) for start, end in ranges]
    return tuple((start, end) for start, end in places if start < end)


def without(text: str, ranges: Sequence[Range]) -> str:
    """``text`` without the ranges, a line break where each was; ranges may overlap or reach beyond the end."""
    pieces = []
    at = 0
    for start, end in sorted(ranges):
        pieces.append(text[at : max(start, at)])
        at = max(at, end)
    pieces.append(text[at:])
    return "\n".join(piece.strip() for piece in pieces if piece.strip())
