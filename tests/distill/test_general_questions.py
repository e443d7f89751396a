"""The general questions: enough, balanced, each once, and not answered by anything but knowing."""

import json
from collections import Counter, defaultdict
from itertools import combinations
from statistics import mean

import pytest

from distill.evaluate.general import QUESTIONS_FILE, Question, load_questions
from distill.filters import same_words

QUESTIONS = load_questions()


def right(question: Question) -> str:
    return question.choices[question.answer]


def wrong(question: Question) -> list[str]:
    return [choice for index, choice in enumerate(question.choices) if index != question.answer]


def test_every_line_is_one_question_with_one_right_choice_of_four() -> None:
    rows = [json.loads(line) for line in QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(QUESTIONS) >= 1000
    for row in rows:
        assert set(row) == {"subject", "question", "choices", "answer"}, row
        assert 0 <= row["answer"] < len(row["choices"]) == 4, row
        assert len({choice.strip().casefold() for choice in row["choices"]}) == 4, row
        assert all(text == text.strip() != "" for text in (row["question"], row["subject"], *row["choices"])), row


def test_no_question_comes_twice_in_other_words() -> None:
    assert [text for text, count in Counter(same_words(q.question) for q in QUESTIONS).items() if count > 1] == []
    words = [frozenset(same_words(q.question).split()) for q in QUESTIONS]
    alike = [
        (a.question, b.question)
        for (a, ours), (b, theirs) in combinations(zip(QUESTIONS, words, strict=True), 2)
        if right(a).casefold() == right(b).casefold() and len(ours & theirs) > 0.7 * len(ours | theirs)
    ]
    assert alike == []


def test_subjects_are_balanced_from_the_first_question_on() -> None:
    subjects = Counter(q.subject for q in QUESTIONS)
    assert len(subjects) >= 16
    assert max(subjects.values()) <= 1.1 * min(subjects.values())
    # A limit takes the first questions: they must be as mixed as the whole.
    for limit in (len(subjects), 256, 512):
        counts = Counter(q.subject for q in load_questions(limit))
        assert len(counts) == len(subjects)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_the_place_of_the_right_choice_says_nothing() -> None:
    places = Counter(q.answer for q in QUESTIONS)
    assert [places[place] / len(QUESTIONS) for place in range(4)] == pytest.approx([0.25] * 4, abs=0.02)
    by_subject: dict[str, Counter[int]] = defaultdict(Counter)
    for question in QUESTIONS:
        by_subject[question.subject][question.answer] += 1
    for subject, counts in by_subject.items():
        assert max(counts.values()) <= 0.3 * counts.total(), subject


def test_the_length_of_the_right_choice_says_nothing() -> None:
    assert mean(len(right(q)) for q in QUESTIONS) == pytest.approx(
        mean(len(choice) for q in QUESTIONS for choice in wrong(q)), rel=0.1
    )
    longest = sum(len(right(q)) > max(map(len, wrong(q))) for q in QUESTIONS)
    shortest = sum(len(right(q)) < min(map(len, wrong(q))) for q in QUESTIONS)
    assert longest <= 0.27 * len(QUESTIONS)
    assert shortest <= 0.27 * len(QUESTIONS)
