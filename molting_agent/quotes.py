"""A note that he quotes and that nobody showed him: a small model may make one up (pure)."""

import re
from collections.abc import Iterable

# How lessons in reading teach him to quote (distill/reading/lessons.py).
_OPENING = re.compile(r"^\s*(?:my note|a minha nota)\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"\w+")
ALIKE = 0.8
"""Share of the quoted words that must stand in one note: a small model drops an accent or a comma."""


def made_up(reply: str, notes: Iterable[str]) -> str:
    """The quote with which ``reply`` opens if none of ``notes`` (those shown beside the question) says it, else ""."""
    found = _OPENING.match(reply)
    if found is None:
        return ""
    quoted = _words(found[1])
    if any(_share(quoted, _words(note)) >= ALIKE for note in notes):
        return ""
    line = " ".join(reply.split())
    return line if len(line) <= 120 else f"{line[:119]}…"


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _share(quoted: list[str], note: list[str]) -> float:
    """How many of the quoted words stand in the note, each as often as there."""
    left = list(note)
    hits = 0
    for word in quoted:
        if word in left:
            left.remove(word)
            hits += 1
    return hits / len(quoted) if quoted else 1.0
