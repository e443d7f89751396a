"""Asks one teacher all its questions: bounded threads, a token budget, every answer on disk before the next step."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from distill.teachers.patience import Patience
from distill.teachers.prompts import prompt_of, repair_of
from distill.teachers.protocol import Answer, Prompt, Question, Rejected, Stopped, Teacher, Traits, Unavailable
from distill.teachers.replies import Replies, Reply, Status
from distill.teachers.reply_format import REPAIR, Parsed, parse
from memory.errors import MoltingError
from memory.labels import may_leave

# So many questions in a row without an answer, and the fault is not theirs.
GIVE_UP_AFTER = 5
LOOK_EVERY_S = 0.2
PRIVATE = "private: never leaves this machine"
TOO_LONG = "longer than the teacher's window"


class Budget:
    """Tokens that a run may spend, in and out together; 0 is no limit. Safe to use from several threads.

    What is under way counts with all it may cost, so that the budget holds whatever the answers are (as far as the
    estimate of the input is right).
    """

    def __init__(self, limit_tokens: int = 0) -> None:
        self.limit_tokens = limit_tokens
        self._spent = self._reserved = 0
        self._lock = threading.Lock()

    def reserve(self, tokens: int) -> bool:
        """Set tokens aside; False when they are not there."""
        with self._lock:
            if self.limit_tokens and self._spent + self._reserved + tokens > self.limit_tokens:
                return False
            self._reserved += tokens
            return True

    def settle(self, reserved: int, spent: int) -> None:
        """Give back a reservation and book what was really spent."""
        with self._lock:
            self._reserved -= reserved
            self._spent += spent


@dataclass(slots=True)
class Tally:
    """What came of one teacher. ``known`` were answered before; ``left`` were not asked, and ``stopped`` says why.

    ``left_out`` counts questions that this teacher is never asked, by reason; ``failed`` those it did not answer.
    """

    teacher: str
    kind: str
    model: str
    questions: int = 0
    known: int = 0
    stored: int = 0
    unparsed: int = 0
    cut: int = 0
    refused: int = 0
    repaired: int = 0
    left: int = 0
    waits: int = 0
    set_aside: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens: int = 0
    usd: float = 0.0
    left_out: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "left_out": dict(self.left_out), "failed": dict(self.failed)}


def to_ask(
    questions: Iterable[Question], traits: Traits, store: Replies, count_tokens: Callable[[str], int], tally: Tally
) -> list[Prompt]:
    """The prompts this teacher has not answered yet; the rest goes into the tally with its reason."""
    prompts: dict[str, Prompt] = {}
    for question in questions:
        tally.questions += 1
        if traits.remote and not may_leave(question.label):
            tally.left_out[PRIVATE] += 1
            continue
        prompt = prompt_of(question, traits, count_tokens)
        if prompt is None:
            tally.left_out[TOO_LONG] += 1
        elif prompt.key in store or prompt.key in prompts:
            tally.known += 1
        else:
            prompts[prompt.key] = prompt
    return list(prompts.values())


class Collector:
    """One teacher being asked. ``stop`` ends it cleanly: nothing new is asked, what is under way is kept."""

    def __init__(
        self,
        teacher: Teacher,
        store: Replies,
        tally: Tally,
        *,
        budget: Budget,
        stop: threading.Event,
        count_tokens: Callable[[str], int],
        on_progress: Callable[[Tally], None] = lambda _tally: None,
    ) -> None:
        self._teacher, self._traits, self._store, self.tally = teacher, teacher.traits, store, tally
        self._budget, self._stop, self._count, self._on_progress = budget, stop, count_tokens, on_progress
        self._patience = Patience(self._traits.retries, stop, on_wait=self._waited)
        self._lock = threading.Lock()
        self._failures_in_a_row = 0

    def run(self, prompts: list[Prompt]) -> Tally:
        """Ask them all, or as many as budget, teacher and person allow."""
        tally = self.tally
        tally.left = len(prompts)
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(self._traits.concurrency, thread_name_prefix=self._traits.name) as pool:
            for prompt in prompts:
                if not self._make_room(running, prompt):
                    break
                running.add(pool.submit(self._one, prompt))
            while running:
                self._reap(running)
        if self._stop.is_set() and tally.left and not tally.error:
            tally.stopped = "stopped; the same command goes on"
        return tally

    def _make_room(self, running: set[Future[None]], prompt: Prompt) -> bool:
        """Wait until a thread and the tokens are free; False when nothing more is to be asked."""
        need = most_tokens(self._traits, prompt)
        while True:
            if self._stop.is_set() or self.tally.error:
                return False
            if len(running) < self._traits.concurrency and self._budget.reserve(need):
                return True
            if not running:
                self.tally.stopped = (
                    f"the budget of {self._budget.limit_tokens:,} tokens does not hold one more question"
                )
                return False
            self._reap(running)

    def _reap(self, running: set[Future[None]]) -> None:
        done, _ = wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
        running -= done
        for future in done:
            future.result()  # what went wrong in our own code is not to be passed over
        self._on_progress(self.tally)

    def _one(self, prompt: Prompt) -> None:
        """Ask one question in a thread and keep the answer; every failure ends up in the tally."""
        reserved = most_tokens(self._traits, prompt)
        spent = 0
        try:
            if self.tally.error:  # another thread has found out that going on makes no sense
                return
            answer = self._patience.ask(self._teacher, prompt)
            spent = sum(self._tokens(answer, prompt))
            self._keep(prompt, answer)
        except Stopped:
            return
        except (Unavailable, Rejected) as failure:
            self._failed(str(failure))
        except MoltingError as error:
            with self._lock:
                self.tally.error = self.tally.error or str(error)
        finally:
            self._budget.settle(reserved, spent)

    def _keep(self, prompt: Prompt, answer: Answer) -> None:
        """Store the answer; if it is not in the form, store it so, ask once for a repair, and store that over it."""
        status, parsed = self._read(answer)
        tokens_in, tokens_out = self._tokens(answer, prompt)
        self._store.add(self._reply(prompt, status, parsed, answer.text, tokens_in, tokens_out))
        cached, repaired = answer.cached_tokens, False
        if status == "unparsed" and answer.text.strip():
            repair = repair_of(prompt, answer.text, REPAIR, self._count)
            again = self._repair(repair)
            if again is not None:
                more_in, more_out = self._tokens(again, repair)
                tokens_in, tokens_out, cached = tokens_in + more_in, tokens_out + more_out, cached + again.cached_tokens
                second, parsed = self._read(again)
                if second == "ok":
                    status, repaired = "ok", True
                    self._store.add(self._reply(prompt, status, parsed, "", tokens_in, tokens_out))
        with self._lock:
            self._failures_in_a_row = 0
            tally = self.tally
            tally.stored += 1
            tally.left -= 1
            tally.repaired += repaired
            tally.unparsed += status == "unparsed"
            tally.cut += status == "cut"
            tally.refused += status == "refused"
            tally.tokens_in += tokens_in
            tally.tokens_out += tokens_out
            tally.cached_tokens += cached
            tally.usd = usd(self._traits, tally.tokens_in, tally.tokens_out)

    def _repair(self, repair: Prompt) -> Answer | None:
        reserved = most_tokens(self._traits, repair)
        if repair.tokens > self._traits.window_tokens or not self._budget.reserve(reserved):
            return None
        spent = 0
        try:
            answer = self._patience.ask(self._teacher, repair)
            spent = sum(self._tokens(answer, repair))
        except (Unavailable, Rejected, Stopped):
            return None  # the first answer is kept as it is
        finally:
            self._budget.settle(reserved, spent)
        return answer

    def _read(self, answer: Answer) -> tuple[Status, Parsed]:
        nothing = Parsed("", "")
        if answer.stop == "refused":
            return "refused", nothing
        if answer.stop == "cut":
            return "cut", nothing
        if not self._traits.asks_rationale:
            text = answer.text.strip()
            return ("ok", Parsed(text, answer.thinking.strip())) if text else ("unparsed", nothing)
        parsed = parse(answer.text)
        if parsed is None:
            return "unparsed", nothing
        return "ok", Parsed(parsed.reply, parsed.rationale or answer.thinking.strip())

    def _reply(
        self, prompt: Prompt, status: Status, parsed: Parsed, raw: str, tokens_in: int, tokens_out: int
    ) -> Reply:
        question, traits = prompt.question, self._traits
        return Reply(
            key=prompt.key,
            teacher=traits.name,
            kind=traits.kind,
            model=traits.model,
            conversation=question.conversation,
            message=question.message,
            context_ids=question.context_ids,
            source=question.source,
            label=question.label,
            started_at=question.started_at,
            system_sha256=hashlib.sha256(question.system.encode()).hexdigest(),
            messages=tuple((m.role, m.content) for m in prompt.messages[1:]),
            status=status,
            reply=parsed.reply,
            rationale=parsed.rationale,
            raw="" if status == "ok" else raw,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            asked_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        )

    def _tokens(self, answer: Answer, prompt: Prompt) -> tuple[int, int]:
        """(in, out) as the teacher counted them, estimated where it did not."""
        if not self._traits.costs_tokens:
            return 0, 0
        return answer.tokens_in or prompt.tokens, answer.tokens_out or self._count(answer.text + answer.thinking)

    def _failed(self, reason: str) -> None:
        with self._lock:
            self.tally.failed[reason] += 1
            self.tally.left -= 1
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= GIVE_UP_AFTER and self._traits.remote:
                self.tally.error = self.tally.error or (
                    f"teacher {self._traits.name}: {GIVE_UP_AFTER} questions in a row without an answer "
                    f"({reason}); run the same command again later"
                )

    def _waited(self, _seconds: float, _reason: str) -> None:
        with self._lock:
            self.tally.waits += 1


def usd(traits: Traits, tokens_in: int, tokens_out: int) -> float:
    """The price at the rates of the config, caching not considered; 0 where there are none."""
    return (tokens_in * traits.usd_per_million_in + tokens_out * traits.usd_per_million_out) / 1e6


def most_tokens(traits: Traits, prompt: Prompt) -> int:
    """All that one question may cost, in and out."""
    return prompt.tokens + traits.reply_tokens if traits.costs_tokens else 0
