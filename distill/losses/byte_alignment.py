"""Aligns two tokenisations of one text: pieces between the byte offsets where tokens of both end.

Source of the pieces: Minixhofer, Vulić, Ponti 2025, "Universal cross-tokenizer distillation via approximate likelihood
matching", arXiv 2503.20083, section 3 (the smallest pieces that both tokenise alone).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

OUTSIDE = -1


@dataclass(frozen=True, slots=True)
class Alignment:
    """For each token the number of its piece (0 to pieces - 1), or OUTSIDE where no piece holds it."""

    teacher_pieces: tuple[int, ...]
    student_pieces: tuple[int, ...]
    pieces: int


def align(teacher_ends: Sequence[int], student_ends: Sequence[int], *, start: int = 0) -> Alignment:
    """Pieces from the byte offset behind each token, counted from the same first byte of the same text.

    A piece runs from one common end to the next; the first begins at the first common end from ``start`` on, and tokens
    before it are OUTSIDE (a prompt, where only the reply is to count). Tokens without bytes (control tokens) are
    OUTSIDE, as is what follows the last common end: a text cut short on one side teaches as far as both reach.
    Errors: ValueError where offsets go back.
    """
    for name, ends in (("teacher", teacher_ends), ("student", student_ends)):
        if any(b < a for a, b in pairwise((0, *ends))):
            raise ValueError(f"byte offsets of the {name}'s tokens go back: they must be the ends in order of the text")
    common = sorted(set(teacher_ends) & set(student_ends) | {0})
    bounds = [end for end in common if end >= start]
    return Alignment(
        _pieces(teacher_ends, bounds),
        _pieces(student_ends, bounds),
        max(0, len(bounds) - 1),
    )


def _pieces(ends: Sequence[int], bounds: Sequence[int]) -> tuple[int, ...]:
    found, begin = [], 0
    for end in ends:
        inside = end > begin and bounds and begin >= bounds[0] and end <= bounds[-1]
        # The piece whose end is the first bound at or behind the token's end.
        found.append(bisect_left(bounds, end) - 1 if inside else OUTSIDE)
        begin = end
    return tuple(found)
