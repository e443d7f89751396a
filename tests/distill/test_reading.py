"""Reading lessons: their shapes are whole, their replies follow from their notes, and the exam is not in them."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.config import DistillConfig
from distill.dataset import lessons as examples_of
from distill.evaluate.canonical import MONTHS, WEEKDAYS, canonical
from distill.evaluate.fact_grader import says_unknown
from distill.evaluate.facts import load_facts
from distill.evaluate.general import load_questions
from distill.reading import reading_dialogues
from distill.reading.lessons import ANSWER, EMPTY_SHARE, FAR, GENERAL, KINDS, NEAR, Lesson, key_of, make_lesson
from distill.reading.shapes import Shape, all_shapes, draw_values, fill, load_general, slots_of
from distill.reading.values import lists
from molting_agent.runtime.client import EngineClient

SHAPES = all_shapes()
seeds = st.integers(0, 10**9)


def lesson_of(seed: int, kind: str) -> Lesson:
    return make_lesson(random.Random(seed), SHAPES, kind)


def test_there_are_many_shapes_and_each_is_whole() -> None:
    wordings = [note for shape in SHAPES for note in shape.notes]
    assert len(set(wordings)) == len(wordings) >= 250
    assert sum(len(ask.questions) for shape in SHAPES for ask in shape.asks) >= 450
    for shape in SHAPES:
        assert shape.asks, shape.notes
        assert shape.unanswered, shape.notes
        assert len({frozenset(slots_of(note)) for note in shape.notes}) == 1, "all wordings say the same"
        for ask in shape.asks:
            named = {slot for text in (*ask.questions, *ask.replies) for slot in slots_of(text)}
            assert named <= shape.slots, ask
            assert key_of(ask, draw_values(shape, random.Random(1))), f"{ask} answers nothing"


@given(seeds)
def test_the_answer_stands_in_the_block_and_in_the_reply(seed: int) -> None:
    lesson = lesson_of(seed, ANSWER)
    assert lesson.block.startswith("Notes from memory:\n- ")
    for value in lesson.key:
        assert value.casefold() in lesson.block.casefold()
        assert value.casefold() in lesson.reply.casefold()
        # As a word: "ten" stands in "often" without giving anything away.
        assert not re.search(rf"\b{re.escape(value.casefold())}\b", lesson.question.casefold())
    assert not says_unknown(canonical(lesson.reply))
    assert "{" not in lesson.block + lesson.question + lesson.reply


@given(seeds)
def test_a_quote_is_a_line_of_the_block_and_holds_the_answer(seed: int) -> None:
    lesson = make_lesson(random.Random(seed), SHAPES, ANSWER, quote_share=1.0)
    quoted = lesson.reply.partition(": ")[2]
    assert any(line.endswith(quoted) or f"{quoted} Me: " in line for line in lesson.block.splitlines())
    for value in lesson.key:
        assert value.casefold() in quoted.casefold()


def test_quotes_are_the_share_that_was_asked_for() -> None:
    lessons = [make_lesson(random.Random(seed), SHAPES, ANSWER, quote_share=0.3) for seed in range(600)]
    quotes = sum(lesson.reply.startswith(("My note: ", "A minha nota: ")) for lesson in lessons)
    assert quotes / len(lessons) == pytest.approx(0.3, abs=0.06)


@given(seeds, st.sampled_from([NEAR, FAR]))
def test_where_no_note_answers_he_says_so(seed: int, kind: str) -> None:
    lesson = lesson_of(seed, kind)
    assert says_unknown(canonical(lesson.reply)), lesson.reply
    assert lesson.key == ()
    assert "{" not in lesson.block + lesson.question + lesson.reply


@given(seeds)
def test_a_general_question_is_answered_whatever_is_shown(seed: int) -> None:
    lesson = lesson_of(seed, GENERAL)
    assert lesson.reply in {reply for ask in load_general() for reply in ask.replies}


@given(seeds)
def test_two_notes_of_one_shape_differ_in_every_value(seed: int) -> None:
    rng = random.Random(seed)
    shape = rng.choice(SHAPES)
    first = draw_values(shape, rng)
    second = draw_values(shape, rng, first)
    assert all(first[slot] != second[slot] for slot in first)
    assert "{" not in fill(" ".join(shape.notes), first, shape.language)


def test_the_same_seed_gives_the_same_lessons_and_another_gives_others() -> None:
    first = reading_dialogues(40, 1)
    assert reading_dialogues(60, 1)[:40] == first
    others = {dialogue.messages[0].content for dialogue in reading_dialogues(40, 2)}
    assert len(others & {dialogue.messages[0].content for dialogue in first}) <= 4, "only general questions may recur"


def test_shares_are_as_they_are_said_to_be() -> None:
    dialogues = reading_dialogues(1200, 3)
    replies = [target for dialogue in dialogues for target in dialogue.targets]
    unknown = sum(says_unknown(canonical(target.text)) for target in replies) / len(replies)
    assert unknown == pytest.approx(KINDS[NEAR] + KINDS[FAR], abs=0.03)
    blocks = [m.content.count("\n- ") for d in dialogues for m in d.messages if m.role == "user"]
    counts = Counter(blocks)
    assert set(counts) == {0, 1, 2, 3, 4, 5}
    assert counts[0] / len(blocks) == pytest.approx(EMPTY_SHARE * (KINDS[FAR] + KINDS[GENERAL]), abs=0.03)
    assert {target.why for target in replies} == {"reading"}
    assert len({target.key for target in replies}) == len(replies)


def test_they_become_examples_of_the_trainer(engine: EngineClient) -> None:
    config = DistillConfig()
    for dialogue in reading_dialogues(12, 5):
        [(part, example)], too_long = examples_of(dialogue, engine, config)
        assert too_long == 0
        assert part.targets == dialogue.targets
        assert 2 <= example.target_tokens < len(example.tokens)


def test_nothing_of_the_exam_is_in_the_lessons() -> None:
    facts = load_facts()
    lines = {canonical(fact.line) for fact in facts if fact.line}
    questions = {canonical(fact.question) for fact in facts}
    common = {word.capitalize() for word in (*WEEKDAYS, *MONTHS)} | {f"{day.capitalize()}s" for day in WEEKDAYS}
    names = {
        name
        for fact in facts
        if fact.notes == "counterfactual"
        for name in re.findall(r"(?<![.;:] )(?<!^)\b[A-Z]\w\w+", fact.line)
        if name not in common
    }
    shown = "\n".join(message.content for d in reading_dialogues(1500, 17) for message in d.messages)
    notes = [canonical(line.partition("My human: ")[2] or line[2:]) for line in shown.splitlines() if line[:2] == "- "]
    assert not lines.intersection(notes)
    assert not questions.intersection(canonical(line) for line in shown.splitlines())
    values = {word for slots in lists().values() for words in slots.values() for each in words for word in each.split()}
    assert len(names) > 20
    assert not names.intersection(values)
    spelt = {canonical(name)[0] for name in names}
    for fact in facts:
        if fact.notes == "counterfactual" and fact.answerable:
            pair = spelt.intersection(canonical(fact.line))
            answer = canonical(fact.accept[0][0].rstrip("*"))
            held = [note for note in notes if pair and pair <= set(note) and set(answer) <= set(note)]
            assert not held, (fact.line, held)


def test_no_shape_is_cut_from_a_line_of_the_exam() -> None:
    lines = [canonical(fact.line) for fact in load_facts()]
    runs = {line[at : at + 5] for line in lines for at in range(len(line) - 4)}
    for shape in SHAPES:
        for note in shape.notes:
            parts = [canonical(part) for part in re.split(r"\{\w+\}", note)]
            shared = [part[at : at + 5] for part in parts for at in range(len(part) - 4) if part[at : at + 5] in runs]
            assert not shared, (note, shared)


def test_general_questions_are_not_those_of_the_judge() -> None:
    judged = {canonical(question.question) for question in load_questions()}
    ours = {canonical(question) for ask in load_general() for question in ask.questions}
    assert not judged & ours


def test_every_shape_can_be_kept_for_an_exam() -> None:
    kept = SHAPES[::7]
    rest = [shape for shape in SHAPES if shape not in kept]
    marks = [words for shape in kept for words in _fixed_words(shape)]
    shown = "\n".join(message.content for d in reading_dialogues(300, 4, rest) for message in d.messages)
    assert marks
    assert not [words for words in marks if words in shown]


def _fixed_words(shape: Shape) -> list[str]:
    """Long stretches between the slots of a shape's notes."""
    found = [part for note in shape.notes for part in note.replace("{", "}").split("}") if len(part.split()) >= 5]
    return [part for part in found if sum(part in " ".join(other.notes) for other in SHAPES) == 1]
