"""CommonsenseQA as the purification table reads it: questions with GPT-3's rationales to learn, others to judge by."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.dataset import hash_share
from distill.evaluate.general import Question as ChoiceQuestion
from memory.errors import UsageError

TAUGHT_FILE = "questions-with-gpt3-rationales.jsonl"
OTHERS_FILE = "train-3000.jsonl"
LETTERS = "ABCDE"


@dataclass(frozen=True, slots=True)
class Item:
    """One question; ``choices[answer]`` is right. ``rationale``, ``said`` are GPT-3's, "" and -1 if there is none."""

    name: str
    question: str
    choices: tuple[str, ...]
    answer: int
    rationale: str = ""
    said: int = -1

    @property
    def text(self) -> str:
        """As a teacher and the student are asked."""
        listed = "\n".join(f"({letter}) {choice}" for letter, choice in zip(LETTERS, self.choices, strict=True))
        return f"{self.question}\n{listed}"

    @property
    def right(self) -> str:
        """The right answer's words."""
        return self.choices[self.answer]

    @property
    def letter(self) -> str:
        """The right answer's letter."""
        return LETTERS[self.answer]

    def as_choice(self) -> ChoiceQuestion:
        """As the judge asks it: each choice as the reply."""
        return ChoiceQuestion(self.text, self.choices, self.answer, "commonsense")


def read_items(folder: Path, learnt: int, judged: int) -> tuple[list[Item], list[Item]]:
    """``learnt`` questions with a rationale of GPT-3, and ``judged`` ones of the other file, each chosen by its hash.

    A question whose words stand on both sides is not judged. Errors: UsageError that names file and line.
    """
    taught = [item for item in _read(folder / TAUGHT_FILE) if item.rationale.strip()]
    learning = _first_by_hash(taught, learnt)
    known = {_words(item) for item in taught}
    others = [item for item in _read(folder / OTHERS_FILE) if _words(item) not in known]
    judging = _first_by_hash(others, judged)
    if len(learning) < learnt or len(judging) < judged:
        raise UsageError(
            f"{folder} holds {len(taught)} questions with rationales and {len(others)} others; "
            f"{learnt} and {judged} are needed: give the folder of CommonsenseQA with {TAUGHT_FILE} and {OTHERS_FILE}"
        )
    return learning, judging


def _first_by_hash(items: Sequence[Item], count: int) -> list[Item]:
    return sorted(items, key=lambda item: hash_share(item.name))[:count]


def _words(item: Item) -> str:
    return " ".join(item.question.casefold().split())


def _read(path: Path) -> list[Item]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give the folder of CommonsenseQA") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(_item(json.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise UsageError(f"{path}:{number}: no question of CommonsenseQA ({error!r}); mend the line") from None
    return found


def _item(row: dict[str, Any]) -> Item:
    choices, answer = tuple(row["choices"]), int(row["answer"])
    if len(choices) != len(LETTERS) or not 0 <= answer < len(choices):
        raise ValueError("five choices and the place of the right one")
    said = row.get("gpt3_answer")
    return Item(
        str(row["id"]),
        str(row["question"]).strip(),
        choices,
        answer,
        str(row.get("gpt3_rationale", "")).strip(),
        -1 if said is None else int(said),
    )
