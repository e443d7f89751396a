"""One run of ``python -m distill teach``: gathers the questions of a home and has the named teachers answer them."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from distill.config import load_config
from distill.teachers.collect import Budget, Collector, Tally, to_ask
from distill.teachers.estimate import Estimate, estimate
from distill.teachers.opening import AnySettings, open_teacher, settings_of, traits_of
from distill.teachers.prompts import conversation_questions, file_questions, sample
from distill.teachers.protocol import Question, Traits
from distill.teachers.replies import Replies, locked
from distill.teachers.settings import LogsSettings, read_teachers
from memory.api import Memory
from memory.errors import MoltingError, TrainingError, UsageError
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import embedded_model
from molting_agent.runtime.prompt import read_identity
from molting_agent.runtime.protocol import Segment

TOKENIZER_CONTEXT_TOKENS = 512
CountTokens = Callable[[str], int]


@dataclass(slots=True)
class Gathered:
    """The questions of a home, and the person's turns that are none, by reason."""

    questions: list[Question]
    left_out: Counter[str] = field(default_factory=Counter)


def gather(home: Home, *, prompts_file: Path | None = None, conversations: bool = True, limit: int = 0) -> Gathered:
    """The questions of the home's conversations and of a file, at most ``limit``. Errors: TrainingError, UsageError."""
    system = read_identity(home.identity_dir)
    if not system:
        raise TrainingError(f"{home.identity_dir} holds no SOUL.md; make a home first: molt")
    found = Gathered([])
    if prompts_file is not None:
        found.questions += file_questions(prompts_file, system)
    if conversations:
        memory = Memory(home)
        try:
            memory.sync()
            asked, found.left_out = conversation_questions(memory.conversations(), system, load_config().heldout_share)
        finally:
            memory.close()
        found.questions += asked
    if not found.questions:
        raise UsageError(
            "there are no questions to ask; ingest conversations (molt ingest PATH) or give --prompts FILE"
        )
    found.questions = sample(found.questions, limit)
    return found


@contextmanager
def tokenizer(home: Home, teachers: Sequence[AnySettings]) -> Iterator[CountTokens]:
    """Counts tokens with the embedded model's vocabulary; where only the logs are asked nothing needs counting."""
    if all(isinstance(settings, LogsSettings) for settings in teachers):
        yield lambda _text: 0
        return
    with EngineClient(embedded_model(home), home=home, context_tokens=TOKENIZER_CONTEXT_TOKENS) as engine:

        @lru_cache(maxsize=100_000)
        def count(text: str) -> int:
            return sum(len(ids) for ids in engine.tokenize([Segment(text)]))

        yield count


class Session:
    """The named teachers of a home, asked one after the other; ``stop`` may be set from a signal handler.

    ``adjust`` changes a teacher's settings; ``store`` stands behind his name in HOME/teachers, to keep these answers
    apart from what a training of the home may learn.
    """

    def __init__(
        self,
        home: Home,
        names: Sequence[str],
        gathered: Gathered,
        stop: threading.Event,
        *,
        store: str = "",
        adjust: Callable[[AnySettings], AnySettings] = lambda settings: settings,
    ) -> None:
        known = read_teachers(home)
        self.teachers = {name: adjust(settings_of(known, name)) for name in names}
        self._home, self._gathered, self._stop, self._store = home, gathered, stop, store

    def estimates(self, budget_tokens: int) -> list[tuple[Estimate, Tally]]:
        """What a run would cost; asks nobody and needs no key."""
        found = []
        with tokenizer(self._home, list(self.teachers.values())) as count:
            for name, settings in self.teachers.items():
                traits = traits_of(name, settings, self._home)
                with _store(self._home, f"{name}{self._store}") as store:
                    tally = _tally(traits, store)
                    prompts = to_ask(self._gathered.questions, traits, store, count, tally)
                    found.append((estimate(prompts, traits, store, count, budget_tokens), tally))
        return found

    def run(self, budget_tokens: int, on_progress: Callable[[Tally], None]) -> list[Tally]:
        """Ask all teachers; the failure of one does not keep the others from answering. The budget is for all."""
        budget = Budget(budget_tokens)
        tallies: list[Tally] = []
        with tokenizer(self._home, list(self.teachers.values())) as count:
            for name, settings in self.teachers.items():
                if self._stop.is_set():
                    break
                try:
                    tallies.append(self._ask(name, settings, budget, count, on_progress))
                except MoltingError as error:
                    if len(self.teachers) == 1:
                        raise
                    tallies.append(Tally(name, settings.kind, "", error=str(error)))
        return tallies

    def _ask(
        self,
        name: str,
        settings: AnySettings,
        budget: Budget,
        count: CountTokens,
        on_progress: Callable[[Tally], None],
    ) -> Tally:
        with _store(self._home, f"{name}{self._store}") as store:
            teacher = open_teacher(name, settings, self._home, self._stop)
            try:
                tally = _tally(teacher.traits, store)
                prompts = to_ask(self._gathered.questions, teacher.traits, store, count, tally)
                collector = Collector(
                    teacher,
                    store,
                    tally,
                    budget=budget,
                    stop=self._stop,
                    count_tokens=count,
                    on_progress=on_progress,
                )
                return collector.run(prompts)
            finally:
                teacher.close()


def _tally(traits: Traits, store: Replies) -> Tally:
    return Tally(traits.name, traits.kind, traits.model, set_aside=store.set_aside)


@contextmanager
def _store(home: Home, name: str) -> Iterator[Replies]:
    with locked(home, name) as free:
        if not free:
            raise TrainingError(f"teacher {name} is being asked in this home already; wait for that run to end")
        yield Replies(home, name)
