"""One run of ``python -m distill purify``: gathers, ranks, learns a method, applies it, and keeps what came of it."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distill.purify.aggregate import Aggregate, merge
from distill.purify.asked import Asked, asked_of
from distill.purify.embedding import embed_with
from distill.purify.likelihood import likelihoods
from distill.purify.methods import cases_of, explained, fitted, tried
from distill.purify.protocol import Case, Lesson, Purified
from distill.purify.purified import keep, purified_taught
from distill.purify.ranking import lesson_of, tells_apart
from memory.errors import HomeError, TrainingError, UsageError
from memory.files import write_atomic
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import resolve_model

CONTEXT_TOKENS = 4096
LEARNS = ("plackett-luce", "classifier", "keys", "reinforce")
BASELINES = ("majority", "random")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is purified and how. ``student`` scores the right answers after each rationale with the base of ``model``.

    ``right`` are right answers by question, ``right_teacher`` whose replies are right where it says nothing.
    """

    method: str
    teachers: tuple[str, ...] = ()
    right: dict[str, str] | None = None
    right_teacher: str = ""
    merging: str = ""
    student: bool = True
    model: str = ""
    seed: int = 0


def purify(
    home: Home, choice: Choice, out: Path | None, *, dry_run: bool, stop: threading.Event, show: Callable[[str], None]
) -> dict[str, Any]:
    """Purify what the home's teachers answered; the figures of the run. Errors: UsageError and those of the parts."""
    if (choice.method == "aggregate") != bool(choice.merging):
        raise UsageError("--merge NAME names the teacher who merges: give it with --method aggregate, and only then")
    asked = explained(asked_of(home, choice.teachers, choice.right, choice.right_teacher))
    cases, worth, lessons = studied(home, asked, choice, show)
    held_out = {} if choice.method == "aggregate" else _held_out(lessons, choice, show)
    chosen = chosen_by(home, asked, cases, lessons, choice, stop, show)
    found = {
        "method": choice.method,
        "questions": len(asked),
        "choices": len(lessons),
        "right_known": sum(bool(one.right) for one in asked),
        "tell_apart": sum(tells_apart(case) for case in cases),
        "ranked_by_student": any(worth),
        "teachers": dict(Counter(one.teacher for one in chosen).most_common()),
        "held_out": held_out,
        "out": str(out) if out else None,
        "kept": 0 if dry_run else keep(home, purified_taught(asked, chosen)),
    }
    if out is not None:
        _write(out, asked, chosen)
    return found


def studied(
    home: Home, asked: Sequence[Asked], choice: Choice, show: Callable[[str], None]
) -> tuple[list[Case], list[tuple[float, ...]], list[Lesson]]:
    """The cases, what each rationale is worth to the student (() where it was not asked), and the lessons of both."""
    cases = cases_of(asked, embed_with(home, show))
    worth = _worth(home, asked, choice, show)
    lessons = [lesson_of(case, values) for case, values in zip(cases, worth, strict=True) if len(case.teachers) > 1]
    return cases, worth, lessons


def _worth(home: Home, asked: Sequence[Asked], choice: Choice, show: Callable[[str], None]) -> list[tuple[float, ...]]:
    """The student's likelihoods where they are used and a right answer is known; all or none, so that they compare."""
    if not choice.student or choice.method not in LEARNS or not all(one.right for one in asked):
        return [()] * len(asked)
    with EngineClient(resolve_model(home, choice.model), home=home, context_tokens=CONTEXT_TOKENS) as engine:
        found = likelihoods(asked, engine, show)
    return found if all(found) else [()] * len(asked)


def chosen_by(
    home: Home,
    asked: Sequence[Asked],
    cases: Sequence[Case],
    lessons: Sequence[Lesson],
    choice: Choice,
    stop: threading.Event,
    show: Callable[[str], None],
) -> list[Purified]:
    """One rationale a case, by the method as it was learnt from the lessons. Errors: TrainingError when stopped."""
    if choice.method != "aggregate":
        purifier = fitted(choice.method, lessons, choice.seed)
    else:
        several = [one for one in asked if len(one.answers) > 1]
        merged = merge(home, choice.merging, several, stop, lambda tally: show(f"merged  {tally.stored:,}"))
        if stop.is_set():
            raise TrainingError("stopped before all was merged; what was merged is kept, the same command goes on")
        purifier = Aggregate(merged, choice.merging)
    return [purifier.purify(case) for case in cases]


def _held_out(lessons: Sequence[Lesson], choice: Choice, show: Callable[[str], None]) -> dict[str, float | None]:
    """How often the method and the baselines find a right teacher on questions they did not learn from."""
    found: dict[str, float | None] = {}
    for name in dict.fromkeys((choice.method, *BASELINES)):
        show(f"trying {name} on held-out questions")
        found[name] = tried(partial(fitted, name, seed=choice.seed), lessons)
    return found


def _write(out: Path, asked: Sequence[Asked], chosen: Sequence[Purified]) -> None:
    lines = [
        json.dumps(
            {
                "question": one.question,
                "teacher": purified.teacher,
                "rationale": purified.rationale,
                "scores": purified.scores,
            },
            ensure_ascii=False,
        )
        for one, purified in zip(asked, chosen, strict=True)
    ]
    try:
        write_atomic(out, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    except OSError as error:
        raise HomeError(f"{out}: cannot be written ({error.strerror}); name another file with --out") from error
