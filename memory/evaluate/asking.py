"""Asks the questions of a haystack in a home of its own: real SQLite, real vectors, the product's recall."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from memory.evaluate.measures import measures
from memory.evaluate.model import Haystack, Question
from memory.home import Home
from memory.recall.gather import Gathered, gather
from memory.recall.rank import Weights, rank
from memory.sources import SourceFile, known_source, put_conversation, put_source
from memory.store import Store
from memory.values import IngestProgress
from memory.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with all that the product gathered for it."""

    haystack: str
    question: Question
    gathered: Gathered
    seconds: float


def ask_all(
    home: Home, haystack: Haystack, weights: Weights, on_progress: Callable[[IngestProgress], None] | None = None
) -> list[Asked]:
    """Remember the haystack's conversations in ``home`` (unless it holds them) and ask its questions.

    ``seconds`` is one recall: the question's embedding, the gathering and the ranking.
    """
    home.make_folders()
    store = Store(home.db_file)
    vectors = Vectors(home, store)
    try:
        if known_source(store, haystack.name) is None:
            with store.transaction():
                put_source(store, SourceFile(haystack.name, "evaluation", "", 0, 0))
                for talk in haystack.talks:
                    put_conversation(store, haystack.name, talk.transcript, talk.chunks, {})
        vectors.fill(on_progress)
        asked = []
        for question in haystack.questions:
            started = time.perf_counter()
            gathered = gather(store, vectors, question.text, question.asked_at)
            rank(gathered, weights, question.asked_at)
            asked.append(Asked(haystack.name, question, gathered, time.perf_counter() - started))
        return asked
    finally:
        vectors.close()
        store.close()


def home_in(folder: Path, number: int, models_dir: Path) -> Home:
    """A home below ``folder`` that shares the prepared embedder."""
    home = Home(folder / f"{number:03d}")
    home.root.mkdir(parents=True, exist_ok=True)
    if not home.models_dir.exists():
        home.models_dir.symlink_to(models_dir.absolute(), target_is_directory=True)
    return home


def score(asked: Asked, weights: Weights) -> dict[str, float]:
    """The measures of one question by conversation (``session hit@1`` and on) and by message (``turn hit@1`` and on).

    A conversation stands where its best chunk does; a chunk of several messages stands for all of them, in order.
    """
    talks: dict[str, None] = {}
    messages: dict[str, None] = {}
    for one in rank(asked.gathered, weights, asked.question.asked_at):
        talks.setdefault(one.candidate.row["transcript_id"])
        messages.update(dict.fromkeys(json.loads(one.candidate.row["message_ids"])))
    found = {f"session {name}": value for name, value in measures(list(talks), asked.question.talks).items()}
    if asked.question.messages:
        found |= {f"turn {name}": value for name, value in measures(list(messages), asked.question.messages).items()}
    return found
