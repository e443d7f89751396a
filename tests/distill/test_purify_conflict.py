"""How far teachers contradict each other: answers compared, styles told apart, topics found, the command's table."""

import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import TOPICS, answered, questions_of, sentences

from distill.purify.answers import final_choice, likeness, same, who_is_right
from distill.purify.asked import Asked, asked_of, group, read_right, teachers_of
from distill.purify.conflict import Said, conflict
from distill.purify.embedding import Embed
from distill.purify.question_topics import topics_of
from distill.purify.style import style_distance
from distill.teachers.replies import Replies
from memory.errors import UsageError
from memory.home import Home


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("(c)", "C"),
        ("B) the cup", "B"),
        ("It is not A, so the answer is **D**.", "D"),
        ("Answer: A. No, the answer is (b)", "B"),
        ("A cup is on the table.", ""),
        ("the answer is a cup", ""),
        ("Be careful.", ""),
        ("", ""),
    ],
)
def test_the_letter_an_answer_settles_on(answer: str, letter: str) -> None:
    # "(b)" as an answer is a letter, "a cup" is words: only capitals count behind "the answer is".
    assert final_choice(answer) == letter


def test_letters_and_verdicts_decide_before_words_do() -> None:
    assert likeness("The answer is B", "B") == 1
    assert likeness("The answer is B, as the cup is full", "The answer is C, as the cup is full") == 0
    assert likeness("Yes, the disk is full tonight", "No, the disk is full tonight") == 0
    assert likeness("Sim, está", "yes") > 0 or likeness("Sim, está", "yes") == 0  # never an error between languages
    assert likeness("twelve percent is free", "about twelve percent is free") == pytest.approx(8 / 9)
    assert same("twelve percent is free", "about twelve percent is free")
    assert not same("twelve percent is free", "call the plumber tomorrow")


def test_who_is_right_by_the_right_answer_or_by_the_majority() -> None:
    assert who_is_right(["A", "B", "A"], "B") == (False, True, False)
    assert who_is_right(["A", "B", "A"], "") == (True, False, True)
    assert who_is_right(["A", "B"], "") == (False, False)


def test_styles_lie_apart_by_small_words_not_by_subject() -> None:
    plain = ["The disk is full, and the backup of the house is late.", "It is the cable, not the router."]
    other_subject = ["The bread is warm, and the oven of the house is old.", "It is the flour, not the salt."]
    shouting = ["Disk full!!! Do it now!!!", "Cable! Replace! Now!!!"]
    assert style_distance(plain, plain) == pytest.approx(0, abs=1e-6)
    assert style_distance(plain, shouting) == pytest.approx(style_distance(shouting, plain))
    assert style_distance(plain, other_subject) < 0.1 < style_distance(plain, shouting) <= 1
    assert style_distance(["the"], ["!"]) == pytest.approx(1)
    assert math.isnan(style_distance(["disk"], plain))


def test_conflict_by_pair_teacher_and_topic_is_what_a_hand_computes() -> None:
    right, left = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    questions = [
        {"a": Said("A", "r", right), "b": Said("A", "r", right), "c": Said("B", "s", left)},
        {"a": Said("A", "r", right), "b": Said("B", "r", left), "c": Said("B", "s", None)},
        {"a": Said("C", "r", right)},
    ]
    found = conflict(questions, (0, 1, 1))
    assert (found.questions, found.split) == (2, 1.0)
    assert found.pairs["a", "b"].answers == 0.5
    assert found.pairs["a", "b"].rationales == 0.5
    assert found.pairs["a", "c"].answers == 1.0
    assert found.pairs["a", "c"].rationales == 1.0  # where one gave no reasons nothing is compared
    assert found.teachers["a"].answers == pytest.approx(0.75)
    assert found.topics[0].answers == pytest.approx(2 / 3)
    assert found.topics[1].questions == 3


def test_of_one_teacher_the_newest_answer_holds_and_the_right_one_is_no_choice() -> None:
    old, new = answered("opus", "is it A?", "A"), answered("opus", "is it A?", "B")
    logs = answered("logs", "is it A?", "B")
    (asked,) = group([old, logs, new], {}, right_teacher="logs")
    assert [(a.teacher, a.reply) for a in asked.answers] == [("opus", "B")]
    assert asked.right == "B"
    (asked,) = group([old, logs], {"is it A?": "C"})
    assert ([a.teacher for a in asked.answers], asked.right) == (["logs", "opus"], "C")


def test_topics_of_real_sentences_follow_the_planted_ones(embed: Embed) -> None:
    texts, planted = questions_of(sentences(0, 16))
    found = topics_of(texts, embed(texts), len(TOPICS))
    most: dict[int, Counter[str]] = {}
    for own, topic in zip(found.of, planted, strict=True):
        most.setdefault(own, Counter())[topic] += 1
    # Short questions are alike in being questions: a third by chance, 71 % measured.
    assert sum(max(counts.values()) for counts in most.values()) > 0.6 * len(texts)
    assert {max(counts, key=counts.__getitem__) for counts in most.values()} == set(TOPICS)
    assert all(name in texts for name in found.names)
    assert topics_of(texts[:3], embed(texts[:3])).of == (0, 0, 0)


def test_the_file_of_right_answers_says_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "right.jsonl"
    path.write_text('{"prompt": "q", "answer": "A"}\n\n{"prompt": "r"}\n')
    with pytest.raises(UsageError, match=r"right\.jsonl:3: write"):
        read_right(path)
    path.write_text('{"prompt": " q ", "answer": "A"}\n')
    assert read_right(path) == {"q": "A"}


def distill(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "distill", arguments[0], "--home", str(home.root), *arguments[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_shows_who_differs_where(prepared_home: Home, asked_home: list[Asked]) -> None:
    done = distill(prepared_home, "conflict", "--json", "--topics", "3")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["questions"] == len(asked_home)
    assert found["split"] == 1.0  # one teacher is right in each topic, the others say another letter
    assert len(found["topics"]) == 3
    assert set(found["teachers"]) == set(TOPICS)
    shown = distill(prepared_home, "conflict")
    assert shown.returncode == 0
    assert "100.0% some answers differ" in shown.stdout
    assert teachers_of(prepared_home) == sorted(TOPICS)


def test_too_few_teachers_are_one_line(prepared_home: Home) -> None:
    for home_says in ("fewer than two teachers answered the same question",):
        done = distill(prepared_home, "conflict")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert home_says in done.stderr
    done = distill(prepared_home, "conflict", "--teacher", "opus")
    assert (done.returncode, "teacher opus has answered nothing here (who did: none)" in done.stderr) == (2, True)


def test_a_forgotten_question_is_no_longer_compared(prepared_home: Home, asked_home: list[Asked]) -> None:
    store = Replies(prepared_home, "cook")
    first = next(iter(store))
    store.add(replace(first, label="private"))
    assert len(asked_of(prepared_home, ["cook"])) == len(asked_home) - 1
