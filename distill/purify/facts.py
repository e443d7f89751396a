"""Whether a merged rationale keeps the facts its sources share and adds none: numbers, names, code words."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# A fact that can be checked without understanding it: a number (with its decimals), a word that is written as a name
# or in capitals within a sentence, and what only machines call so (paths, versions, file and option names).
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")
_CODE = re.compile(r"(?<!\w)[\w~-]*[\w~](?:[/_.:][\w-]+)+|(?<!\w)--?[a-z][\w-]+")
_NAME = re.compile(r"(?<=[\w,;:)] )(?:[A-ZÀ-Þ][\w-]+)")


@dataclass(frozen=True, slots=True)
class Kept:
    """``shared`` facts stand in two rationales or more, ``missing`` are those of them that the merged text lost.

    ``added`` stand in the merged text and in no rationale.
    """

    shared: frozenset[str]
    missing: frozenset[str]
    added: frozenset[str]

    @property
    def whole(self) -> bool:
        """Nothing shared was lost and nothing was made up."""
        return not self.missing and not self.added


def facts_of(text: str) -> frozenset[str]:
    """The facts of a text that can be checked: numbers without thousands marks, names, code words; case aside."""
    numbers = {re.sub(r",(?=\d{3}\b)", "", found) for found in _NUMBER.findall(text)}
    words = {found for pattern in (_CODE, _NAME) for found in pattern.findall(text)}
    return frozenset({*numbers, *(word.casefold().rstrip(".") for word in words)})


def shared_facts_kept(rationales: Sequence[str], merged: str) -> Kept:
    """What the merged text kept, lost and added. A fact counts as kept wherever its words stand in the merged text."""
    counts = Counter(fact for text in rationales for fact in facts_of(text))
    shared = frozenset(fact for fact, count in counts.items() if count > 1)
    known = "\n".join(rationales).casefold()
    said = merged.casefold().replace(",", "")
    own = facts_of(merged)
    missing = frozenset(fact for fact in shared if fact not in own and not _stands(fact.replace(",", ""), said))
    added = frozenset(fact for fact in own if fact not in counts and not _stands(fact, known))
    return Kept(shared, missing, added)


def _stands(fact: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", text) is not None
