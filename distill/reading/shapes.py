"""Reads the hand-written shapes of lessons: notes, questions with their replies, and questions no note answers."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from distill.reading.values import ENGLISH, PORTUGUESE, draw

FOLDER = Path(__file__).parent
FILES = {ENGLISH: "english.md", PORTUGUESE: "portuguese.md"}
SLOT = re.compile(r"\{([A-Za-z]+?)(\d?)\}|\{(nn31)\}")
_NUMBERED_KIND = "nn31"
# "u" is left out: it is as often a ukulele as an umbrella, and those are written out where they matter.
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeioAEIO])")
_DRAWS = 200

Values = dict[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """Wordings of one question and replies to it."""

    questions: tuple[str, ...]
    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Wordings of one note, what may be asked of it, and (question, what would settle it) that it does not answer."""

    language: str
    notes: tuple[str, ...]
    asks: tuple[Ask, ...]
    unanswered: tuple[tuple[str, str], ...]

    @property
    def slots(self) -> frozenset[str]:
        """Names of the slots of the note, as they are drawn: small, with their number."""
        return frozenset(slot for note in self.notes for slot in slots_of(note))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Ways to say that he does not know: with ``{settle}``, and without."""

    with_settle: tuple[str, ...]
    plain: tuple[str, ...]


def slots_of(text: str) -> list[str]:
    """The slots of a template in order, in small letters: ``{Pet}`` and ``{pet}`` are one."""
    return [_name(match) for match in SLOT.finditer(text)]


def fill(text: str, values: Mapping[str, str], language: str = ENGLISH) -> str:
    """The template with its values; a capital in the slot's name makes the value begin with one."""

    def value(match: re.Match[str]) -> str:
        found = values[_name(match)]
        return found[:1].upper() + found[1:] if match[0][1].isupper() else found

    filled = SLOT.sub(value, text)
    return _ARTICLE.sub(r"\1n ", filled) if language == ENGLISH else filled


def draw_values(shape: Shape, rng: random.Random, other: Mapping[str, str] | None = None) -> Values:
    """Values for all slots of a shape, those of one kind all different, and different from ``other``'s."""
    wanted = sorted(
        shape.slots
        | {slot for ask in shape.asks for text in (*ask.questions, *ask.replies) for slot in slots_of(text)}
        | {slot for pair in shape.unanswered for text in pair for slot in slots_of(text)}
    )
    values: Values = {}
    for slot in wanted:
        kind = slot if slot == _NUMBERED_KIND else slot.rstrip("0123456789")
        taken = {value for name, value in values.items() if name.rstrip("0123456789") == kind}
        taken |= {other[slot]} if other else set()
        for _attempt in range(_DRAWS):
            values[slot] = draw(kind, shape.language, rng)
            if values[slot] not in taken:
                break
    return values


@lru_cache(maxsize=4)
def load_shapes(language: str) -> tuple[Shape, ...]:
    """The shapes of one language."""
    return tuple(_parse((FOLDER / FILES[language]).read_text(encoding="utf-8"), language))


@lru_cache(maxsize=1)
def load_general() -> tuple[Ask, ...]:
    """Questions that need no note, with their replies."""
    asks: list[Ask] = []
    questions: tuple[str, ...] = ()
    for mark, texts in _lines((FOLDER / "general.md").read_text(encoding="utf-8")):
        if mark == "?":
            questions = texts
        elif mark == "=":
            asks.append(Ask(questions, texts))
    return tuple(asks)


@lru_cache(maxsize=1)
def load_unknown() -> Mapping[str, Unknown]:
    """Ways to say that he does not know, by language."""
    found: dict[str, Unknown] = {}
    for section in (FOLDER / "unknown.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        name, _, body = section.partition("\n")
        lines = _lines(body)
        with_settle = tuple(text for mark, texts in lines if mark == "=" for text in texts)
        plain = tuple(text for mark, texts in lines if mark == "!" for text in texts)
        found[ENGLISH if name.strip() == "English" else PORTUGUESE] = Unknown(with_settle, plain)
    return found


def _parse(text: str, language: str) -> list[Shape]:
    shapes: list[Shape] = []
    notes: tuple[str, ...] = ()
    asks: list[Ask] = []
    questions: tuple[str, ...] = ()
    unanswered: list[tuple[str, str]] = []
    for mark, texts in [*_lines(text), ("-", ())]:
        if mark == "-":
            if notes:
                shapes.append(Shape(language, notes, tuple(asks), tuple(unanswered)))
            notes, asks, unanswered = texts, [], []
        elif mark == "?":
            questions = texts
        elif mark == "=":
            asks.append(Ask(questions, texts))
        elif mark == "!":
            for each in texts:
                question, _, settle = each.partition(" > ")
                unanswered.append((question.strip(), settle.strip()))
    return shapes


def _lines(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """(mark, wordings) of every line that has a mark."""
    marked = [line for line in text.splitlines() if line[:2] in ("- ", "? ", "= ", "! ")]
    return [(line[0], tuple(part.strip() for part in line[2:].split(" / "))) for line in marked]


def _name(match: re.Match[str]) -> str:
    return (match[3] or f"{match[1]}{match[2]}").lower()


def all_shapes() -> Sequence[Shape]:
    """The shapes of all languages."""
    return (*load_shapes(ENGLISH), *load_shapes(PORTUGUESE))
