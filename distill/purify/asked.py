"""The questions that teachers answered: every question once, with what each of them replied and why."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from distill.teachers.replies import FILE, teachers_dir
from distill.teachers.settings import NAME
from distill.teachers.taught import Taught, taught
from memory.api import Memory
from memory.errors import UsageError
from memory.home import Home

PURIFIED = "purified"
"""The folder in HOME/teachers with what a purifier chose; no teacher, and never asked about again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: ``answers`` hold one of each teacher, by its name; ``right`` is "" where nobody knows it."""

    question: str
    answers: tuple[Taught, ...]
    right: str = ""


def group(replies: Iterable[Taught], right: Mapping[str, str], right_teacher: str = "") -> list[Asked]:
    """Replies by the question they answer, in the order the questions first came; of one teacher the newest holds.

    ``right`` maps the words of a question to its right answer. Where it says nothing, the reply of ``right_teacher``
    is the right one; that teacher is then a measure, and not among the answers.
    """
    found: dict[tuple[str, str], dict[str, Taught]] = {}
    for reply in replies:
        found.setdefault((reply.conversation, reply.message), {})[reply.teacher] = reply
    asked = []
    for answers in found.values():
        reference = answers.pop(right_teacher, None)
        if not answers:
            continue
        question = next(iter(answers.values())).messages[-2].content
        known = right.get(question.strip(), reference.reply if reference else "")
        asked.append(Asked(question, tuple(answers[name] for name in sorted(answers)), known))
    return asked


def teachers_of(home: Home) -> list[str]:
    """The names of all who have answered in this home."""
    folders = (folder for folder in teachers_dir(home).glob("*/") if (folder / FILE).exists())
    return sorted(f.name for f in folders if NAME.fullmatch(f.name) and f.name != PURIFIED)


def asked_of(
    home: Home, names: Collection[str] = (), right: Mapping[str, str] | None = None, right_teacher: str = ""
) -> list[Asked]:
    """What the named teachers (or all) answered and may be learnt from now. Errors: HomeError, UsageError."""
    if not home.identity_dir.is_dir():
        raise UsageError(f"{home.root} is no home; make one first: molt --home {home.root}")
    known = teachers_of(home)
    for name in filter(None, [*names, right_teacher]):
        if name not in known:
            there = ", ".join(known) or "none"
            raise UsageError(
                f"teacher {name} has answered nothing here (who did: {there}); ask it: "
                f"python -m distill teach --home {home.root} --teacher {name}"
            )
    memory = Memory(home)
    try:
        memory.sync()
        chosen = sorted({*(names or known), *filter(None, [right_teacher])})
        replies = list(taught(home, memory.conversations(), chosen)) if chosen else []
    finally:
        memory.close()
    return group(replies, right or {}, right_teacher)


def read_right(path: Path) -> dict[str, str]:
    """Right answers by question, ``{"prompt": "...", "answer": "..."}`` a line. Errors: UsageError with file:line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error}); give a .jsonl file") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}:{number}: not valid JSON ({error}); mend the line or remove it") from None
        prompt, answer = (record.get(key) if isinstance(record, dict) else None for key in ("prompt", "answer"))
        if not (isinstance(prompt, str) and isinstance(answer, str) and prompt.strip() and answer.strip()):
            raise UsageError(f'{path}:{number}: write {{"prompt": "...", "answer": "..."}}')
        found[prompt.strip()] = answer.strip()
    return found
