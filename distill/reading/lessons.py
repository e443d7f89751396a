"""Makes reading lessons: a question beside notes as the app shows them, and the reply that those notes allow."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from distill.dialogue import Dialogue
from distill.reading.shapes import (
    Ask,
    Shape,
    Values,
    all_shapes,
    draw_values,
    fill,
    load_general,
    load_unknown,
    slots_of,
)
from distill.reading.values import PORTUGUESE
from distill.targets import Target
from memory.api import RecalledMemory, memory_block
from molting_agent.runtime.prompt import ChatTurn, user_content
from molting_agent.runtime.template import Message

WHY = "reading"
ANSWER, NEAR, FAR, GENERAL = "answer", "near", "far", "general"
KINDS = {ANSWER: 0.62, NEAR: 0.13, FAR: 0.12, GENERAL: 0.13}
"""``answer``: a note holds it. ``near``: a note about the same thing does not. ``far``: no note is about it. The last:
a question that needs none. Of recalls over real notes about one in ten misses."""
PORTUGUESE_SHARE = 0.2
LINES = {1: 0.34, 2: 0.26, 3: 0.2, 4: 0.1, 5: 0.1}
"""How many notes are shown; recall shows 2.1 on average and at most 5."""
FIRST_SHARE = 0.6
"""How often the note that answers is the first: recall puts it there more often than not."""
SAME_SHAPE_SHARE = 0.3
"""Of the notes beside the right one, how many say the same of something else: only the name tells them apart."""
EXCHANGE_SHARE = 0.12
"""Of all notes, how many were said in a conversation instead of kept in MEMORY.md."""
TWO_TURNS_SHARE = 0.12
EMPTY_SHARE = 0.45
"""Of lessons without a fitting note, how many show none at all."""
TWO_THOUGHTS_SHARE = 0.3
"""Of notes that answer, how many say a second thing in the same line."""
WHOLE_CHARS, ASKED_CHARS = 200, 100
"""A longer line could be shown cut; so could what a person said, where his own words follow."""
CARELESS_SHARE, OPENING_SHARE, TAIL_SHARE = 0.3, 0.12, 0.08
OPENINGS = ("remind me: ", "quick one: ", "one more: ", "sorry, ", "hey, ", "do you know: ")
TAILS = {
    "en": ("So it's written.", "It's in the notes.", "Written down, so I trust it.", "I looked.", "Pois."),
    "pt": ("Está nas notas.", "Assim está escrito.", "Fui ver.", "Pois."),
}
QUOTED = {"en": "My note: {note}", "pt": "A minha nota: {note}"}
"""How he answers by the note itself: copying is what a small model does best, and the person sees where it is from."""
KEPT = {"en": ("Kept.", "Noted.", "Written down.", "I'll keep it."), "pt": ("Guardado.", "Anotado.", "Fica escrito.")}
_FIRST_DAY = date(2025, 3, 1)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One question with the block shown beside it ("" for none) and its reply.

    ``key`` are the values that answer it: what a right reply names. () where no note answers.
    """

    kind: str
    language: str
    block: str
    question: str
    reply: str
    key: tuple[str, ...]


def reading_dialogues(
    count: int, seed: int, shapes: Sequence[Shape] = (), *, quote_share: float = 0.0
) -> list[Dialogue]:
    """``count`` conversations of one or two turns, all replies targets (``why`` is ``reading``).

    The same seed gives the same conversations; a longer list begins with the shorter. ``shapes`` narrows what is drawn
    from (all of them by default), so that some can be kept for an exam. ``quote_share`` of the questions that a note
    answers are answered by that note, word for word.
    """
    return [_dialogue(f"reading-{seed}-{number}", shapes or all_shapes(), quote_share) for number in range(count)]


def make_lesson(rng: random.Random, shapes: Sequence[Shape], kind: str = "", *, quote_share: float = 0.0) -> Lesson:
    """One lesson of a kind (drawn by KINDS where none is named)."""
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    shape = _pick(shapes, rng)
    lines = rng.choices(list(LINES), list(LINES.values()))[0]
    if kind == GENERAL:
        ask = rng.choice(load_general())
        notes = [] if rng.random() < EMPTY_SHARE else _others(shape, shapes, lines, rng)
        return Lesson(kind, shape.language, _block(notes, shape.language, rng), *_spoken(ask, {}, shape, rng), ())
    values = draw_values(shape, rng)
    if kind == NEAR and shape.unanswered:
        question, settle = rng.choice(shape.unanswered)
        notes = [fill(rng.choice(shape.notes), values, shape.language), *_others(shape, shapes, lines - 1, rng)]
        reply = _unknown(fill(settle, values, shape.language), shape, rng)
        question = careless(fill(question, values, shape.language), rng)
        return Lesson(kind, shape.language, _block(_placed(notes, rng), shape.language, rng), question, reply, ())
    ask = rng.choice(shape.asks)
    question, reply = _spoken(ask, values, shape, rng)
    if kind == FAR:
        notes = [] if rng.random() < EMPTY_SHARE else _others(shape, shapes, lines, rng)
        reply = _unknown("", shape, rng)
        return Lesson(kind, shape.language, _block(notes, shape.language, rng), question, reply, ())
    notes = [fill(rng.choice(shape.notes), values, shape.language)]
    if rng.random() < TWO_THOUGHTS_SHARE:
        thoughts = [notes[0], *_others(shape, shapes, 1, rng)]
        rng.shuffle(thoughts)
        joined = " ".join(thoughts)
        notes = [joined] if len(joined) <= WHOLE_CHARS else notes
    same = _same_shape(shape, ask, values, rng) if rng.random() < SAME_SHAPE_SHARE and lines > 1 else []
    notes += [*same, *_others(shape, shapes, lines - 1 - len(same), rng)]
    block = _block(_placed(notes, rng), shape.language, rng)
    if quote_share and rng.random() < quote_share:
        reply = QUOTED[shape.language].format(note=notes[0])
    return Lesson(kind, shape.language, block, question, reply, key_of(ask, values))


def key_of(ask: Ask, values: Values) -> tuple[str, ...]:
    """The values a right reply names: those in every reply and in no wording of the question."""
    asked = {slot for question in ask.questions for slot in slots_of(question)}
    named = set.intersection(*(set(slots_of(reply)) for reply in ask.replies)) - asked
    return tuple(values[slot] for slot in sorted(named))


def careless(question: str, rng: random.Random) -> str:
    """The question as people type it: often small, without a question mark, with a word before it."""
    if rng.random() < CARELESS_SHARE:
        question = (question[:1].lower() + question[1:]).rstrip("?. ")
    if rng.random() < OPENING_SHARE and not question.startswith(OPENINGS):
        question = rng.choice(OPENINGS) + question[:1].lower() + question[1:]
    return question


def _dialogue(name: str, shapes: Sequence[Shape], quote_share: float) -> Dialogue:
    rng = random.Random(name)  # noqa: S311 - lessons, nothing secret
    turns = 2 if rng.random() < TWO_TURNS_SHARE else 1
    messages: list[Message] = []
    targets: list[Target] = []
    for number in range(turns):
        lesson = make_lesson(rng, shapes, quote_share=quote_share)
        messages.append(Message("user", user_content(ChatTurn("user", lesson.question, lesson.block))))
        messages.append(Message("assistant", lesson.reply, target=True))
        targets.append(Target(name, f"reply-{number}", 2 * number + 1, lesson.reply, WHY, ""))
    ids = tuple((f"{name}-{index}",) for index in range(len(messages)))
    return Dialogue(name, tuple(messages), tuple(targets), False, "", ids, format=WHY)


def _pick(shapes: Sequence[Shape], rng: random.Random) -> Shape:
    language = PORTUGUESE if rng.random() < PORTUGUESE_SHARE else ""
    fitting = [shape for shape in shapes if (shape.language == PORTUGUESE) == bool(language)]
    return rng.choice(fitting or list(shapes))


def _spoken(ask: Ask, values: Values, shape: Shape, rng: random.Random) -> tuple[str, str]:
    """A wording of the question and a reply to it."""
    question = careless(fill(rng.choice(ask.questions), values, shape.language), rng)
    reply = fill(rng.choice(ask.replies), values, shape.language)
    if values and rng.random() < TAIL_SHARE:
        reply = f"{reply} {rng.choice(TAILS[shape.language])}"
    return question, reply


def _unknown(settle: str, shape: Shape, rng: random.Random) -> str:
    ways = load_unknown()[shape.language]
    if settle and rng.random() < 0.7:  # without it now and then: not every gap has a remedy
        return rng.choice(ways.with_settle).format(settle=settle)
    return rng.choice(ways.plain)


def _same_shape(shape: Shape, ask: Ask, values: Values, rng: random.Random) -> list[str]:
    """The same said of something else; [] where the question names nothing by which the two differ."""
    if not any(slots_of(question) for question in ask.questions) or not all(map(slots_of, ask.questions)):
        return []
    return [fill(rng.choice(shape.notes), draw_values(shape, rng, values), shape.language)]


def _others(shape: Shape, shapes: Sequence[Shape], count: int, rng: random.Random) -> list[str]:
    """Notes about other things; of a few drawn, the one that has most kinds of values in common."""
    found: list[str] = []
    used = {shape}
    for _number in range(count):
        drawn = [other for other in (_like(shape, shapes, rng) for _attempt in range(3)) if other not in used]
        if drawn:
            nearest: Callable[[Shape], int] = lambda other: len(other.slots & shape.slots)  # noqa: E731
            best = max(drawn, key=nearest)
            used.add(best)
            found.append(fill(rng.choice(best.notes), draw_values(best, rng), best.language))
    return found


def _like(shape: Shape, shapes: Sequence[Shape], rng: random.Random) -> Shape:
    same = [other for other in shapes if other.language == shape.language]
    return rng.choice(same)


def _placed(notes: list[str], rng: random.Random) -> list[str]:
    """The notes in an order of recall; the first given, which counts, is first more often than not."""
    if rng.random() < FIRST_SHARE:
        return notes
    shuffled = list(notes)
    rng.shuffle(shuffled)
    return shuffled


def _block(notes: Sequence[str], language: str, rng: random.Random) -> str:
    return memory_block([_memory(note, language, rng) for note in notes])


def _memory(note: str, language: str, rng: random.Random) -> RecalledMemory:
    """A note as recall hands it out: an entry of MEMORY.md, or an exchange with its day."""
    if rng.random() < EXCHANGE_SHARE:
        day = (_FIRST_DAY + timedelta(days=rng.randrange(400))).isoformat()
        is_alone = rng.random() < 0.5 or len(note) > ASKED_CHARS
        text = f"My human: {note}" if is_alone else f"My human: {note}\nMe: {rng.choice(KEPT[language])}"
        return RecalledMemory("", text, "", "", 0.0, {}, "owner", "normal", "", message_id="m", timestamp=day)
    return RecalledMemory("", note, "", "", 0.0, {}, "owner", "normal", "MEMORY.md")
