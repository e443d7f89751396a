"""From what teachers answered to purified rationales: cases and lessons made, a method fitted, tried and applied."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean

from distill.purify.answers import AGREES_F1, who_is_right
from distill.purify.asked import Asked
from distill.purify.baselines import Majority, Random
from distill.purify.embedding import Embed
from distill.purify.protocol import METHODS, Case, Lesson, Purifier
from distill.purify.ranking import tells_apart
from memory.errors import UsageError

FOLDS = 5
FEWEST_TO_TRY = 10
"""So many questions with a right and a wrong teacher, and a method is tried on those it did not learn from."""


def explained(asked: Sequence[Asked]) -> list[Asked]:
    """The questions with only the answers that have reasons. Errors: UsageError when there is nothing to choose."""
    with_reasons = [replace(one, answers=tuple(a for a in one.answers if a.rationale.strip())) for one in asked]
    if not any(len(one.answers) > 1 for one in with_reasons):
        raise UsageError(
            "fewer than two teachers gave reasons for the same question; ask another one (with rationale = true): "
            "python -m distill teach --home HOME --teacher NAME"
        )
    return [one for one in with_reasons if one.answers]


def cases_of(asked: Sequence[Asked], embed: Embed, agrees_f1: float = AGREES_F1) -> list[Case]:
    """One case a question, embedded. A teacher alone with a question of no known answer is neither right nor wrong."""
    vectors = iter(embed([text for one in asked for text in (one.question, *(a.rationale for a in one.answers))]))
    cases = []
    import numpy as np

    for one in asked:
        right: tuple[bool | None, ...] = who_is_right([a.reply for a in one.answers], one.right, agrees_f1)
        if not one.right and len(one.answers) < 2:
            right = (None,) * len(one.answers)
        cases.append(
            Case(
                question=one.question,
                vector=next(vectors),
                teachers=tuple(answer.teacher for answer in one.answers),
                rationales=tuple(answer.rationale for answer in one.answers),
                rationale_vectors=np.stack([next(vectors) for _answer in one.answers]),
                right=right,
            )
        )
    return cases


def fitted(method: str, lessons: Sequence[Lesson], seed: int = 0) -> Purifier:
    """The method, learnt from the lessons; ``aggregate`` is none of these. torch is loaded only where it is needed."""
    match method:
        case "plackett-luce":
            from distill.purify.plackett_luce import PlackettLuce

            return PlackettLuce(lessons)
        case "classifier":
            from distill.purify.classifier import Classifier

            return Classifier(lessons)
        case "keys":
            from distill.purify.keys import Keys

            return Keys(lessons, seed)
        case "reinforce":
            from distill.purify.reinforce import train_policy

            return train_policy(lessons, seed)
        case "majority":
            return Majority(lessons)
        case "random":
            return Random(seed)
    raise UsageError(f"there is no method {method}; there are: {', '.join(METHODS)}")


def hits(purifier: Purifier, cases: Sequence[Case]) -> float:
    """Share of the cases with a right and a wrong teacher where a right one is chosen; 0 where there are none."""
    judged = [case for case in cases if tells_apart(case)]
    chosen = [(case, purifier.purify(case).teacher) for case in judged]
    return mean(case.right[case.teachers.index(name)] is True for case, name in chosen) if chosen else 0.0


def tried(fit: Callable[[Sequence[Lesson]], Purifier], lessons: Sequence[Lesson]) -> float | None:
    """``hits`` over ``FOLDS`` parts of the lessons, each chosen by what was learnt from the others.

    None where fewer than ``FEWEST_TO_TRY`` lessons tell right from wrong: a share of so few says nothing.
    """
    judged = [lesson for lesson in lessons if tells_apart(lesson.case)]
    if len(judged) < FEWEST_TO_TRY:
        return None
    parts = [judged[start::FOLDS] for start in range(FOLDS)]
    found = 0.0
    for part in parts:
        held = {id(lesson) for lesson in part}
        purifier = fit([lesson for lesson in lessons if id(lesson) not in held])
        found += hits(purifier, [lesson.case for lesson in part]) * len(part)
    return found / len(judged)
