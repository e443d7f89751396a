"""What of a message its person typed themselves: without pastes, quotations and what follows at length (pure)."""

import re
from collections.abc import Sequence

from memory.pastes import pasted_ranges
from memory.ranges import Range, without

_QUOTED = re.compile(r"[\"“«][^\"”»]{40,}(?:[\"”»]|\Z)|(?:(?<=\s)|\A)[\"“«][^\"”»]{10,}[.!][\"”»]")
_SOMEBODY = re.compile(r"^[A-ZÀ-Ý]\w{1,15}: ", re.MULTILINE)
SHORT_CHARS, MESSAGE_CHARS = 160, 600


def typed(text: str, pasted: Sequence[Range] = ()) -> str:
    """The words that are surely the person's own. ``pasted`` are the ranges that are known not to be.

    No sign tells every paste, so that here the doubt counts against a text: quotations go, and of what follows the
    first paragraph only short ones stay, in a short message where nobody else is made to speak.
    """
    ranges = [*pasted, *pasted_ranges(text)]
    own = _QUOTED.sub(" ", without(text, ranges) if ranges else text).strip()
    first, *others = re.split(r"\n[ \t]*\n", own)
    lines = first.split("\n")
    if len(lines) > 1 and (len(first) > MESSAGE_CHARS or lines[0].rstrip().endswith(":") or _SOMEBODY.search(first)):
        return lines[0]
    if len(own) > MESSAGE_CHARS or any(len(part) > SHORT_CHARS or _SOMEBODY.search(part) for part in others):
        return first
    return own
