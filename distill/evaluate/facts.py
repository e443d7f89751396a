"""The facts exam: does he answer questions about himself, his person and the notes, with recall and without it?

Half of the questions are about notes that no training text holds (facts_memory.md), so that only reading answers them.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from distill.evaluate.bootstrap import interval
from distill.evaluate.canonical import canonical
from distill.evaluate.fact_grader import RIGHT, UNKNOWN, Fact, grade
from memory.api import Memory, memory_block
from memory.home import Home
from memory.memory_file import parse
from molting_agent.runtime.prompt import ChatTurn, read_identity, user_content
from molting_agent.runtime.protocol import Delta, Engine, Sampling
from molting_agent.runtime.template import Message, prefix_length, render

FACTS_FILE = Path(__file__).parent / "facts.jsonl"
COUNTERFACTUAL_FILE = Path(__file__).parent / "facts_memory.md"
REPLY_TOKENS = 64
# The files of each set's home, from the package ``identity`` (a path: from here).
_HOMES: dict[str, dict[str, str | Path]] = {
    "true": {"USER.md": "sample/USER.md", "MEMORY.md": "sample/MEMORY.md"},
    "counterfactual": {"USER.md": "templates/USER.md", "MEMORY.md": COUNTERFACTUAL_FILE},
}


@dataclass(frozen=True, slots=True)
class Item:
    """A question as it is asked: the identity prompt, the memory block ("" where nothing was recalled).

    ``held`` says whether the line that answers it stands in the block.
    """

    fact: Fact
    system: str
    block: str
    held: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply with its grade; ``copied``: the line that answers stands in it word for word."""

    item: Item
    reply: str
    grade: str
    copied: bool

    @property
    def right(self) -> bool:
        return self.grade == RIGHT


@dataclass(frozen=True, slots=True)
class FactsScore:
    """The answers of one model; shares are of the questions that can be answered unless they say otherwise."""

    answers: tuple[Answer, ...]

    def share(self, notes: str = "", *, source: str = "", held: bool | None = None) -> float:
        """Share right, of one set, of one file, or of those whose answer recall showed or not; nan where none is."""
        return _mean([a.right for a in self._answerable(notes, source, held)])

    def interval(self, *, resamplings: int = 4000, seed: int = 17) -> tuple[float, float]:
        """The 95 % bootstrap interval of the share right."""
        right = [float(answer.right) for answer in self._answerable()]
        return interval(right, [1.0] * len(right), resamplings=resamplings, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """All shares, for a report."""
        answerable = self._answerable()
        none = [answer for answer in self.answers if not answer.item.fact.answerable]
        low, high = self.interval()
        return {
            "questions": len(answerable),
            "right": self.share(),
            "interval": [low, high],
            "true": self.share("true"),
            "counterfactual": self.share("counterfactual"),
            "files": {name: self.share("true", source=name) for name in dict.fromkeys(_sources(answerable))},
            "held_by_recall": _mean([answer.item.held for answer in answerable]),
            "right_where_held": self.share(held=True),
            "right_where_not_held": self.share(held=False),
            "portuguese": _mean([a.right for a in answerable if a.item.fact.language == "pt"]),
            "said_unknown": _mean([answer.grade == UNKNOWN for answer in answerable]),
            "copied_a_note": _mean([answer.copied for answer in answerable]),
            "unanswerable": len(none),
            "unanswerable_right": _mean([answer.right for answer in none]),
        }

    def _answerable(self, notes: str = "", source: str = "", held: bool | None = None) -> list[Answer]:
        return [
            answer
            for answer in self.answers
            if answer.item.fact.answerable
            and notes in ("", answer.item.fact.notes)
            and source in ("", answer.item.fact.source)
            and held in (None, answer.item.held)
        ]


def load_facts(path: Path = FACTS_FILE) -> list[Fact]:
    """The questions of a JSON-lines file, the sets one after the other (their identity prompt is evaluated once)."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    facts = [
        Fact(**{**row, "accept": tuple(map(tuple, row["accept"])), "forbid": tuple(row["forbid"])}) for row in rows
    ]
    return sorted(facts, key=lambda fact: fact.notes, reverse=True)


def sample(facts: Sequence[Fact], count: int) -> list[Fact]:
    """``count`` of the questions, chosen by their hash and in the order given: a longer sample holds the shorter."""
    by_hash = sorted(facts, key=lambda fact: hashlib.sha256(fact.question.encode()).hexdigest())
    chosen = set(by_hash[:count])
    return [fact for fact in facts if fact in chosen]


def prepare(
    models_dir: Path, facts: Sequence[Fact], *, recall: bool = True, k: int = 5, budget_tokens: int = 400
) -> list[Item]:
    """Each question with the memory block that the app would put before it, from a temporary home of its set.

    ``models_dir`` holds the prepared embedder (it is prepared there where it is not); k and budget are the app's
    defaults. Without ``recall`` the blocks are empty. Model-free: prepare once and ask any number of models.
    """
    items: list[Item] = []
    for notes in dict.fromkeys(fact.notes for fact in facts):
        with _home_of(notes, models_dir) as home:
            system = read_identity(home.identity_dir)
            lines = tuple(entry.text for entry in parse(home.memory_file.read_text(encoding="utf-8")))
            memory = Memory(home)
            try:
                if recall:
                    memory.sync()
                    memory.fill_vectors()
                for fact in (fact for fact in facts if fact.notes == notes):
                    found = memory.recall(fact.question, k=k, budget_tokens=budget_tokens) if recall else []
                    held = any(_holds(shown.text, fact.line) for shown in found)
                    items.append(Item(fact, system, memory_block(found), held, lines))
            finally:
                memory.close()
    return items


def score_facts(
    engine: Engine,
    items: Sequence[Item],
    *,
    max_tokens: int = REPLY_TOKENS,
    on_item: Callable[[], None] = lambda: None,
) -> FactsScore:
    """Ask every question in a conversation of its own, greedily, in the app's own prompt, and grade the reply.

    Questions of one set share the identity prompt: the engine evaluates it once. Errors: EngineError.
    """
    answers = []
    for item in items:
        reply = ask(engine, item, max_tokens)
        copied = item.fact.answerable and _holds(reply, item.fact.line)
        answers.append(Answer(item, reply, grade(item.fact, reply, item.notes), copied))
        on_item()
    return FactsScore(tuple(answers))


def score_both(
    engine: Engine, items: Sequence[Item], *, on_item: Callable[[], None] = lambda: None
) -> tuple[FactsScore, FactsScore]:
    """With what recall shows, and without any of it; the same prompt is asked once. Errors: EngineError."""
    shown = score_facts(engine, items, on_item=on_item)
    same = {answer.item.fact: answer for answer in shown.answers if not answer.item.block}
    bare = [replace(item, block="", held=False) for item in items if item.fact not in same]
    asked = {answer.item.fact: answer for answer in score_facts(engine, bare, on_item=on_item).answers}
    for _kept in same:
        on_item()
    return shown, FactsScore(tuple(asked.get(item.fact) or same[item.fact] for item in items))


def ask(engine: Engine, item: Item, max_tokens: int = REPLY_TOKENS) -> str:
    """The greedy reply to one question."""
    info = engine.info
    question = user_content(ChatTurn("user", item.fact.question, item.block))
    messages = [Message("system", item.system), Message("user", question)]
    segments = render(info.chat_template, messages, end_tokens=info.end_tokens, bos_token=info.bos_token)
    events = engine.generate(
        segments,
        max_tokens=max_tokens,
        sampling=Sampling(temperature=0.0, repeat_penalty=1.0),
        prefix_segments=prefix_length(segments, 1),
    )
    return "".join(event.text for event in events if isinstance(event, Delta)).strip()


def grades(score: FactsScore) -> Counter[tuple[str, str]]:
    """How often each grade was given in each set."""
    return Counter((answer.item.fact.notes, answer.grade) for answer in score.answers)


@contextmanager
def _home_of(notes: str, models_dir: Path) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="molting-facts-") as folder:
        home = Home(Path(folder) / "home")
        home.make_folders()
        home.models_dir.rmdir()
        home.models_dir.symlink_to(models_dir, target_is_directory=True)
        package = resources.files("identity")
        files: dict[str, str | Path] = {"SOUL.md": "SOUL.md", "IDENTITY.md": "IDENTITY.md", **_HOMES[notes]}
        for name, source in files.items():
            text = (source if isinstance(source, Path) else package.joinpath(source)).read_text(encoding="utf-8")
            target = home.memory_file if name == "MEMORY.md" else home.identity_dir / name
            target.write_text(text, encoding="utf-8")
        yield home


def _holds(text: str, line: str) -> bool:
    return bool(line) and " ".join(canonical(line)) in " ".join(canonical(text))


def _sources(answers: Sequence[Answer]) -> list[str]:
    return [answer.item.fact.source for answer in answers if answer.item.fact.notes == "true"]


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else float("nan")
