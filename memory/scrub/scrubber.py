"""One conversation's scrubbing: finds with every detector and puts in placeholders that stay the same throughout."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from memory.ranges import Cut, Range, moved
from memory.scrub.base import base_spans
from memory.scrub.formats import format_spans
from memory.scrub.personal import personal_spans
from memory.scrub.spans import PERSONAL, PLACEHOLDER, REPEATED, Span, joined
from memory.scrub.spoken import spoken_spans

# A secret that was named once is a secret where it stands alone. Each is one search through the text, so only so many.
LONGEST_MEMORY = 200
SHORTEST_REMEMBERED = 8
SEPARATORS = re.compile(r"[\s().,/-]")
# Taking one secret out can uncover another beside it; each round takes some out, so this is seldom more than two.
MOST_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """The text with placeholders such as ``[EMAIL_1]``, and how many were put in of each kind.

    ``ranges`` are the ones that were given, moved along with the words they were on.
    """

    text: str
    found: dict[str, int]
    ranges: tuple[Range, ...] = ()


class Scrubber:
    """Scrubs the messages of one conversation; the same value gets the same placeholder in all of them.

    Deterministic, and a scrubbed text is left as it is. Nothing leaves the machine and nothing is kept but in this
    object. Raises MemoryStoreError when the base detector cannot be loaded; any text is accepted.
    """

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._secrets: dict[str, str] = {}

    def scrub(self, text: str, ranges: Sequence[Range] = ()) -> Scrubbed:
        """``text`` without secrets and personal data, in time linear in its length."""
        found: Counter[str] = Counter()
        for match in PLACEHOLDER.finditer(text):  # numbers that the text already uses are not given again
            self._counts[match[1]] = max(self._counts[match[1]], int(match[2]))
        for _ in range(MOST_ROUNDS):
            spans = self._spans(text)
            if not spans:
                break
            text, cuts = self._replaced(text, spans, found)
            ranges = moved(ranges, cuts)
        return Scrubbed(text, dict(sorted(found.items())), tuple(ranges))

    def _spans(self, text: str) -> list[Span]:
        spans = base_spans(text) + format_spans(text) + personal_spans(text) + spoken_spans(text)
        for value, kind in self._secrets.items():
            at = text.find(value)
            while at >= 0:
                spans.append(Span(at, at + len(value), kind, REPEATED))
                at = text.find(value, at + len(value))
        return joined(spans, [m.span() for m in PLACEHOLDER.finditer(text)])

    def _replaced(self, text: str, spans: list[Span], found: Counter[str]) -> tuple[str, list[Cut]]:
        pieces = []
        cuts = []
        at = 0
        for span in spans:
            value = text[span.start : span.end]
            placeholder = self._placeholder(value, span)
            pieces += [text[at : span.start], placeholder]
            cuts.append(Cut(span.start, span.end, len(placeholder)))
            found[span.kind] += 1
            at = span.end
        return "".join([*pieces, text[at:]]), cuts

    def _placeholder(self, value: str, span: Span) -> str:
        key = value
        if span.rank == PERSONAL:  # the same number in other groups is the same number
            key = value.lower() if span.kind == "EMAIL" else SEPARATORS.sub("", value)
        if key not in self._placeholders:
            self._counts[span.kind] += 1
            self._placeholders[key] = f"[{span.kind}_{self._counts[span.kind]}]"
            if span.rank != PERSONAL and len(value) >= SHORTEST_REMEMBERED and len(self._secrets) < LONGEST_MEMORY:
                self._secrets[value] = span.kind
        return self._placeholders[key]
