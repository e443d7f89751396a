"""What a molt ceremony shows: the same questions answered by the old molt and the new one, and how they measured."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.errors import MoltError

if TYPE_CHECKING:
    from distill.registry import Registry


@dataclass(frozen=True, slots=True)
class Answers:
    """One question and what each of the two said."""

    question: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Ceremony:
    """``old`` and ``new`` are numbers of molts (0: the base); ``reasons`` are the gate's, with their figures."""

    old: int
    new: int
    verdict: str
    reasons: tuple[str, ...]
    answers: tuple[Answers, ...]


def name_of(number: int) -> str:
    """``molt 3``, or the base."""
    return f"molt {number}" if number else "the base"


def ceremony(registry: "Registry", number: int) -> Ceremony:
    """From the report that judged molt ``number``, beside the champion of then. Errors: MoltError when it has none."""
    path = registry.get(number).path / "report.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        answers = tuple(
            Answers(str(one["question"]), str(one["champion"]), str(one["candidate"])) for one in report["samples"]
        )
        verdict = report["verdict"]
        reasons = tuple(str(reason) for reason in verdict["reasons"])
        return Ceremony(int(report["champion"]), number, str(verdict["verdict"]), reasons, answers)
    except (OSError, ValueError, KeyError, TypeError):
        raise MoltError(f"{path} is missing or damaged; molt {number} cannot be compared") from None
