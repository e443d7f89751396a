"""Words that give away what was forgotten: those that nothing else in the memory says."""

import re
from collections.abc import Collection, Iterable

from memory.store import Store

MIN_LETTERS = 4


def telling_words(store: Store, texts: Iterable[str], doomed: Collection[int]) -> frozenset[str]:
    """The words of ``texts``, in small letters, that stand in no chunk but those numbered ``doomed``."""
    found = frozenset[str]().union(*map(long_words, texts))
    return frozenset(word for word in found if not _stands_elsewhere(store, word, doomed))


def long_words(text: str) -> frozenset[str]:
    """The words of at least MIN_LETTERS letters, in small letters."""
    return frozenset(word for word in re.findall(r"\w+", text.casefold()) if len(word) >= MIN_LETTERS)


def _stands_elsewhere(store: Store, word: str, doomed: Collection[int]) -> bool:
    with store.locked() as connection:
        rows = connection.execute("SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?", (f'"{word}"',))
        return any(row[0] not in doomed for row in rows)


def tells(text: str, telling: Collection[str]) -> bool:
    """Whether one of the ``telling`` words stands in ``text``."""
    return not long_words(text).isdisjoint(telling)
