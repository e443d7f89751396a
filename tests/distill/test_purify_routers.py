"""Purifiers on planted teachers, each right in one topic: held-out questions, real sentences, the real embedder."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import FRESH, TOPICS, answered, questions_of, said

from distill.purify.asked import Asked
from distill.purify.embedding import Embed
from distill.purify.keys import contrast
from distill.purify.methods import cases_of, explained, fitted, hits, tried
from distill.purify.plackett_luce import PlackettLuce
from distill.purify.protocol import Case, Lesson, choose
from distill.purify.ranking import lesson_of
from distill.purify.reinforce import Policy
from memory.errors import TrainingError, UsageError

pytestmark = pytest.mark.usefixtures("one_thread")


def planted(embed: Embed, by_topic: dict[str, list[str]]) -> list[Case]:
    texts, topics = questions_of(by_topic)
    asked = [
        Asked(text, tuple(answered(name, text, *said(name, topic)) for name in TOPICS), said(topic, topic)[0])
        for text, topic in zip(texts, topics, strict=True)
    ]
    return cases_of(asked, embed)


@pytest.fixture(scope="module")
def lessons(embed: Embed) -> list[Lesson]:
    return [lesson_of(case) for case in planted(embed, TOPICS)]


@pytest.fixture(scope="module")
def held_out(embed: Embed) -> list[Case]:
    """Questions of the same topics that no setting was tuned on; who is right is known to the test alone."""
    return planted(embed, FRESH)


def unknown(case: Case) -> Case:
    return Case(
        case.question,
        case.vector,
        case.teachers,
        case.rationales,
        case.rationale_vectors,
        (None,) * len(case.teachers),
    )


@pytest.mark.parametrize("method", ["plackett-luce", "classifier", "keys"])
def test_routers_find_the_good_teacher_of_each_topic(method: str, lessons: list[Lesson], held_out: list[Case]) -> None:
    router = fitted(method, lessons)
    chosen = [router.purify(unknown(case)) for case in held_out]
    found = [case.right[case.teachers.index(one.teacher)] for case, one in zip(held_out, chosen, strict=True)]
    assert sum(map(bool, found)) >= 0.9 * len(held_out)
    assert all(
        one.rationale == case.rationales[case.teachers.index(one.teacher)]
        for case, one in zip(held_out, chosen, strict=True)
    )
    assert all(sum(one.scores.values()) == pytest.approx(1, abs=1e-5) for one in chosen)
    assert max(hits(fitted(name, lessons), held_out) for name in ("random", "majority")) < 0.6


def test_selection_learns_what_is_rewarded(lessons: list[Lesson], held_out: list[Case]) -> None:
    # The reward is planted against being right: 1 for the gardener whatever is asked, so that it alone can teach it.
    rewarded = [
        Lesson(one.case, one.tiers, tuple(float(t == "gardener") for t in one.case.teachers)) for one in lessons
    ]
    policy = fitted("reinforce", rewarded)
    assert {policy.purify(case).teacher for case in held_out} == {"gardener"}
    assert hits(fitted("reinforce", lessons), held_out) >= 0.9


def test_a_policy_alternates_with_a_trainer_and_comes_back_from_disk(lessons: list[Lesson], tmp_path: Path) -> None:
    cases = [lesson.case for lesson in lessons]
    policy = Policy(tuple(TOPICS), 384, seed=1)
    before = policy.probabilities(cases)
    assert torch.allclose(before, torch.full_like(before, 1 / 3))
    for _round in range(100):
        chosen = policy.choose(cases)
        policy.update(cases, chosen, [-2.0 + (name == "cook") for name in chosen])
    assert policy.probabilities(cases)[:, 0].mean() > 0.9
    policy.save(tmp_path / "policy.npz")
    again = Policy.load(tmp_path / "policy.npz")
    assert torch.equal(again.probabilities(cases), policy.probabilities(cases))
    assert again.choose(cases, greedy=True) == ["cook"] * len(cases)
    (tmp_path / "torn.npz").write_bytes((tmp_path / "policy.npz").read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"torn\.npz: no policy can be read"):
        Policy.load(tmp_path / "torn.npz")


def test_a_teacher_who_did_not_answer_is_never_chosen(lessons: list[Lesson], held_out: list[Case]) -> None:
    for method in ("plackett-luce", "classifier", "keys", "reinforce", "majority", "random"):
        purifier = fitted(method, lessons)
        for case in held_out[::5]:
            alone = Case(case.question, case.vector, ("admin",), ("why",), case.rationale_vectors[2:], (None,))
            assert purifier.purify(alone).teacher == "admin"


def test_held_out_shares_are_those_of_questions_not_learnt(lessons: list[Lesson]) -> None:
    share = tried(lambda part: fitted("classifier", part), lessons)
    assert share is not None
    assert share >= 0.9  # a third by chance; one fifth of 96 lessons is held out each time
    assert tried(lambda part: fitted("classifier", part), lessons[:4]) is None


def orders(*tiers: Sequence[Sequence[str]]) -> list[Lesson]:
    """Lessons about one and the same question."""
    vector = np.array([1.0, 0.0])
    found = []
    for ranked in tiers:
        names = tuple(sorted(name for tier in ranked for name in tier))
        case = Case("q", vector, names, names, np.ones((len(names), 2)), (None,) * len(names))
        found.append(Lesson(case, tuple(tuple(tier) for tier in ranked), (0.0,) * len(names)))
    return found


def test_strengths_are_those_of_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of two, Plackett-Luce is Bradley-Terry: the strengths are as the wins (3 to 1).
    monkeypatch.setattr("distill.purify.plackett_luce.PRIOR", 1e-9)
    lessons = orders(*[[["a"], ["b"]]] * 3, [["b"], ["a"]])
    scores = PlackettLuce(lessons).purify(lessons[0].case).scores
    assert scores["a"] == pytest.approx(0.75, abs=1e-4)
    # Equals count half for each order, so nobody is ahead.
    lessons = orders([["a", "b"]], [["a", "b"]])
    assert PlackettLuce(lessons).purify(lessons[0].case).scores["a"] == pytest.approx(0.5)
    # At the maximum each teacher's wins are what its strength predicts (Hunter 2004, the fixed point).
    lessons = orders([["a"], ["b"], ["c"]], [["b"], ["a"], ["c"]], [["a"], ["c"], ["b"]], [["c"], ["b"], ["a"]])
    g = PlackettLuce(lessons).purify(lessons[0].case).scores
    expected = dict.fromkeys(g, 0.0)
    wins = dict.fromkeys(g, 0)
    for lesson in lessons:
        left = [name for tier in lesson.tiers for name in tier]
        while len(left) > 1:
            wins[left[0]] += 1
            for name in left:
                expected[name] += g[name] / sum(g[other] for other in left)
            left = left[1:]
    assert all(expected[name] == pytest.approx(wins[name], abs=1e-3) for name in g)


def test_a_teacher_who_never_won_keeps_a_little_strength() -> None:
    lessons = orders(*[[["a"], ["b"]]] * 5)
    scores = PlackettLuce(lessons).purify(lessons[0].case).scores
    assert 0 < scores["b"] < 0.1


def test_the_contrast_is_what_a_hand_computes() -> None:
    scores = torch.tensor([[1.0, 0.0, -1.0], [0.0, 0.0, 5.0]])
    right = torch.tensor([[True, False, False], [True, True, False]])
    wrong = torch.tensor([[False, True, True], [False, False, True]])
    first = -math.log(math.e / (math.e + 1 + math.exp(-1)))
    second = -math.log(1 / (1 + math.exp(5)))  # two right ones, each against the wrong one alone
    assert contrast(scores, right, wrong).item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_ranks_are_by_right_then_by_what_helps_the_student(lessons: list[Lesson]) -> None:
    case = lessons[0].case
    assert lesson_of(case).tiers == (("cook",), ("admin", "gardener"))
    ranked = lesson_of(case, (-3.0, -2.0, -1.0))
    assert ranked.tiers == (("cook",), ("admin",), ("gardener",))  # right comes first, however little it helps
    assert ranked.rewards == (-3.0, -2.0, -1.0)


def test_too_few_reasons_and_nothing_to_tell_apart_are_said(lessons: list[Lesson]) -> None:
    alone = Asked("q", (answered("opus", "q", "A"), answered("llama", "q", "A", rationale=" ")))
    with pytest.raises(UsageError, match="fewer than two teachers gave reasons for the same question"):
        explained([alone])
    case = unknown(lessons[0].case)
    with pytest.raises(UsageError, match="no question has a right and a wrong teacher"):
        fitted("keys", [lesson_of(case)])
    assert choose(case, {}).teacher == "admin"  # of equals the first by name
