"""Ranks the teachers of a question: who was right first, then whose reasons make the right answer likelier."""

from collections.abc import Sequence
from itertools import groupby

from distill.purify.protocol import Case, Lesson


def lesson_of(case: Case, likelihoods: Sequence[float] = ()) -> Lesson:
    """The case with its teachers ranked.

    ``likelihoods``: one value a teacher, the student's log-likelihood (nats a token) of the right answer after the
    rationale; () where it was not asked, and teachers who are equally right are then equals. The reward is that
    likelihood, or 1 for right and 0 for wrong where there is none.
    """
    values = tuple(likelihoods) or (0.0,) * len(case.teachers)
    merit = {name: (bool(right), value) for name, right, value in zip(case.teachers, case.right, values, strict=True)}
    ordered = sorted(case.teachers, key=lambda name: merit[name], reverse=True)
    tiers = tuple(tuple(sorted(tier)) for _merit, tier in groupby(ordered, key=lambda name: merit[name]))
    rewards = tuple(likelihoods) or tuple(float(bool(right)) for right in case.right)
    return Lesson(case, tiers, rewards)


def tells_apart(case: Case) -> bool:
    """Whether one teacher is right and another wrong: only then can a router find or miss the right one."""
    return True in case.right and False in case.right
