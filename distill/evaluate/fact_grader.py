"""Grades one reply to a question about the notes: right, wrong, or "I don't know" (pure, strict)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from distill.evaluate.canonical import MONTHS, WEEKDAYS, canonical

RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"
MOST_WORDS = 60
"""A longer reply may hold anything; what is asked for is a sentence or two."""
RECITED_LINES = 2
"""A reply that repeats so many of the notes word for word has answered nothing."""
NEGATIONS = frozenset(canonical("not never no nor isn't wasn't doesn't didn't don't nao nunca nem without except"))
NEGATION_REACH = 2

# What "I don't know" looks like, in canonical words.
_UNKNOWN_PHRASES = """
i don't know; i do not know; i don't have that; i do not have that; i have nothing; i have no note; i can't find
i cannot find; i can't say; i cannot say; i can't tell; i cannot tell; i don't remember; i do not remember
i don't recall; no idea; not in my notes; nothing in my notes; my notes don't; my notes do not; the notes don't
the notes do not; notes say nothing; not in the notes; nothing in the notes; no note; isn't in my notes
is not in my notes; aren't in my notes; never told me; haven't told me; have not told me; never wrote
i wasn't told; i was never told; nobody told me; nothing about that; nothing written down; didn't tell me
you've not told me; you haven't told; nao sei; nao tenho nota; nao encontro; nao me lembro; nao me disseste
nao esta nas; nao consta; nada nas notas; sem nota; as notas nao; nenhuma nota; ninguem me disse
"""
_UNKNOWN = tuple(
    canonical(phrase) for line in _UNKNOWN_PHRASES.strip().splitlines() for phrase in line.split(";") if phrase.strip()
)

Words = tuple[str, ...]
# Stands between two sentences: no phrase and no negation reaches over it.
FULL_STOP = "."
_SENTENCE_END = re.compile(r"[.!?;](?:\s+|$)|\n+")


@dataclass(frozen=True, slots=True)
class Fact:
    """One question with its key.

    ``notes`` names the set (``true`` or ``counterfactual``), ``source`` the file and ``line`` the line that holds the
    answer ("" where none does: then only "I don't know" is right). A right reply has of every group in ``accept`` one
    phrase, and none of ``forbid``; a phrase that ends in ``*`` begins a word.
    """

    id: str
    notes: str
    source: str
    line: str
    language: str
    question: str
    accept: tuple[tuple[str, ...], ...]
    forbid: tuple[str, ...]

    @property
    def answerable(self) -> bool:
        return bool(self.accept)


def grade(fact: Fact, reply: str, notes: Sequence[str]) -> str:
    """``right``, ``wrong`` or ``unknown`` (said that he does not know, where he could).

    ``notes`` are all lines of the set. Besides the key's own forbidden phrases, other values of the answer's kind
    (times, days, dates, numbers) that stand elsewhere in the notes are wrong, and so are a reply that recites notes and
    one of more than MOST_WORDS words. A negated phrase ("not on Monday") counts neither for nor against.
    """
    words = sentences(reply)
    unknown = says_unknown(words)
    if any(has_phrase(words, phrase) for phrase in fact.forbid):
        return WRONG
    if not fact.answerable:
        return RIGHT if unknown and len(words) <= MOST_WORDS else WRONG
    if unknown:
        return UNKNOWN
    if not words or len(words) > MOST_WORDS or recited(words, notes) >= RECITED_LINES:
        return WRONG
    if not holds_answer(fact, words):
        return WRONG
    return WRONG if rivals(fact, notes).intersection(_affirmed(words)) else RIGHT


def sentences(text: str) -> Words:
    """The canonical words of a text with FULL_STOP between its sentences."""
    words: Words = ()
    for part in _SENTENCE_END.split(text):
        found = canonical(part)
        words += ((FULL_STOP, *found) if words else found) if found else ()
    return words


def holds_answer(fact: Fact, words: Words) -> bool:
    """Whether every group of the key is met."""
    return all(any(has_phrase(words, phrase) for phrase in group) for group in fact.accept)


def says_unknown(words: Words) -> bool:
    """Whether the reply says that he does not know."""
    return any(_find(words, phrase) for phrase in _UNKNOWN)


def has_phrase(words: Words, phrase: str) -> bool:
    """Whether a phrase stands in the words, at least once without a negation just before it."""
    wanted = canonical(phrase.rstrip("*"))
    places = _find(words, wanted, starts=phrase.endswith("*"))
    return any(not _negated(words, at) for at in places)


def recited(words: Words, notes: Sequence[str]) -> int:
    """How many of the notes stand whole in the words."""
    lines = {sentences(note) for note in notes}
    return sum(1 for line in lines if len(line) > 3 and _find(words, line))


def rivals(fact: Fact, notes: Sequence[str]) -> frozenset[str]:
    """Values of the answer's kind elsewhere in the notes: with one of them beside the right one, a reply is a list.

    What stands in the answer's own line, in the key or in the question is no rival.
    """
    key = {word for group in fact.accept for phrase in group for word in canonical(phrase)}
    kinds = {kind for kind in map(kind_of, key) if kind}
    own = key.union(canonical(fact.line), canonical(fact.question))
    others = {word for note in notes for word in canonical(note)}
    return frozenset(word for word in others - own if kind_of(word) in kinds)


def kind_of(word: str) -> str:
    """time, day, month, number, or "" for any other word."""
    if ":" in word:
        return "time"
    if word in WEEKDAYS:
        return "day"
    if word in MONTHS and word != "may":  # a verb as well
        return "month"
    return "number" if word.replace(".", "").isdigit() else ""


def _affirmed(words: Words) -> set[str]:
    return {word for at, word in enumerate(words) if not _negated(words, at)}


def _negated(words: Words, at: int) -> bool:
    """Whether a negation stands just before a word, in its sentence."""
    for word in reversed(words[max(0, at - NEGATION_REACH) : at]):
        if word == FULL_STOP:
            return False
        if word in NEGATIONS:
            return True
    return False


def _find(words: Words, wanted: Words, *, starts: bool = False) -> list[int]:
    """Where the wanted words stand; with ``starts`` the last of them need only begin a word."""
    size = len(wanted)
    return [
        at
        for at in range(len(words) - size + 1)
        if size
        and words[at : at + size - 1] == wanted[:-1]
        and (words[at + size - 1].startswith(wanted[-1]) if starts else words[at + size - 1] == wanted[-1])
    ]
