"""When do two answers say the same? Letters exactly, yes and no by their first word, free text by its words."""

import re
from collections.abc import Sequence

from distill.evaluate.overlap import token_f1

AGREES_F1 = 0.3
"""Token F1 from which two free answers count as the same. Two good answers in different words mostly lie above it."""

_LETTER = re.compile(r"\A\W*([A-H])\W*\Z|\A\(?([A-H])[).:]\s", re.IGNORECASE)
_ANSWER_IS = re.compile(
    r"(?i:\b(?:answer|option|choice|resposta)\b\s*(?:is\b|é\b|:)?)\s*\**(?:\(([A-Ha-h])\)|([A-H])(?![\w']))"
)
_VERDICT = re.compile(r"\A\W*(yes|no|maybe|sim|não|talvez)\b", re.IGNORECASE)
_ENGLISH = {"sim": "yes", "não": "no", "talvez": "maybe"}


def final_choice(answer: str) -> str:
    """The letter (A to H) that an answer to a multiple choice question settles on, "" where it names none.

    The last "answer is B" counts, since a model may weigh other letters first; else a text that is only a letter or
    begins with one as "B)" does.
    """
    named = _ANSWER_IS.findall(answer)
    if named:
        return "".join(named[-1]).upper()
    alone = _LETTER.match(answer.strip())
    return (alone[1] or alone[2]).upper() if alone else ""


def verdict(answer: str) -> str:
    """``yes``, ``no`` or ``maybe`` where an answer begins with it (in English or Portuguese), else ""."""
    found = _VERDICT.match(answer)
    return _ENGLISH.get(found[1].casefold(), found[1].casefold()) if found else ""


def likeness(answer: str, other: str) -> float:
    """How far two answers say the same, 0 to 1, the same both ways.

    Two letters: 1 or 0. Opposite first words (yes, no, maybe): 0. Otherwise token F1 (SQuAD, arXiv 1606.05250).
    """
    letters = final_choice(answer), final_choice(other)
    if all(letters):
        return float(letters[0] == letters[1])
    verdicts = verdict(answer), verdict(other)
    if all(verdicts) and verdicts[0] != verdicts[1]:
        return 0.0
    return token_f1(answer, other)


def same(answer: str, other: str, agrees_f1: float = AGREES_F1) -> bool:
    """Whether two answers count as the same."""
    return likeness(answer, other) >= agrees_f1


def who_is_right(answers: Sequence[str], right: str, agrees_f1: float = AGREES_F1) -> tuple[bool, ...]:
    """One value an answer: whether it says the same as ``right``.

    Where no right answer is known (""), an answer counts as right that at least half of the others agree with: the
    majority of self-consistency (arXiv 2203.11171) over teachers. Of two that differ neither is right then.
    """
    if right:
        return tuple(same(answer, right, agrees_f1) for answer in answers)
    found = []
    for index, answer in enumerate(answers):
        others = [other for place, other in enumerate(answers) if place != index]
        found.append(bool(others) and 2 * sum(same(answer, other, agrees_f1) for other in others) >= len(others))
    return tuple(found)
