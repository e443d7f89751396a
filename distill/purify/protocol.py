"""What a purifier is: a question with the rationales of its teachers goes in, one rationale with its teacher comes out.

Knowledge purification (arXiv 2602.01064): instead of one loss for each teacher's rationale, as TinyLLM has it (arXiv
2402.04616), the rationales r_1..r_n are first made one, r_P = f(r_1..r_n), and the student learns

    L = L_predict + lambda * L_explain(r_P)

lambda is ``explain_weight`` of the recipe ``rationale``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

METHODS = ("plackett-luce", "classifier", "keys", "reinforce", "aggregate", "random", "majority")
"""The five of the paper, and two baselines."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One question with its T rationales.

    ``vector`` is the question's embedding [D] and ``rationale_vectors`` [T, D] the rationales', of length 1. ``right``
    says for each teacher whether its answer is right, None where nobody knows.
    """

    question: str
    vector: "np.ndarray[Any, Any]"
    teachers: tuple[str, ...]
    rationales: tuple[str, ...]
    rationale_vectors: "np.ndarray[Any, Any]"
    right: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a purifier learns of one case: ``tiers`` are its teachers ranked, best first, equals in one tier.

    ``rewards`` has one value a teacher: what its rationale was worth to the student.
    """

    case: Case
    tiers: tuple[tuple[str, ...], ...]
    rewards: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Purified:
    """The one rationale, who gave it, and the scores by which it was chosen, one a teacher."""

    teacher: str
    rationale: str
    scores: dict[str, float] = field(default_factory=dict)


class Purifier(Protocol):
    """One way to purify."""

    def purify(self, case: Case) -> Purified:
        """One rationale for the case."""
        ...


def choose(case: Case, scores: Mapping[str, float]) -> Purified:
    """The rationale of the case's teacher with the best score; of equals the first by name; unknown ones come last."""
    own = {name: scores[name] for name in case.teachers if name in scores}
    best = min(case.teachers, key=lambda name: (-own.get(name, float("-inf")), name))
    return Purified(best, case.rationales[case.teachers.index(best)], own)


def teachers_in(lessons: Sequence[Lesson]) -> tuple[str, ...]:
    """The names of all teachers of the lessons, in order."""
    return tuple(sorted({name for lesson in lessons for name in lesson.case.teachers}))
