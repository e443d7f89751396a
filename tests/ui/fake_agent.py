"""An agent and a retraining made of values: the interface is tested without model, database or child process."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from distill.progress import Progress
from memory.errors import MoltingError, UsageError
from memory.values import RecalledMemory, Receipt
from molting_agent.events import (
    Event,
    MemoriesShown,
    Notice,
    ReplyDelta,
    ReplyFinished,
    ReplyStarted,
    Swapped,
    UserSaved,
)
from molting_agent.session import SessionSummary, SessionTurn
from molting_agent.session_search import FoundTurn


@dataclass(frozen=True)
class FakeStatus:
    model_name: str = "SmolLM2-135M"
    molt: int = 1
    context_used: int = 0
    context_tokens: int = 4096
    tokens_per_s: float = 0.0
    memories_shown: int = 0


def memory_of(number: int, text: str, **changes: Any) -> RecalledMemory:
    values: dict[str, Any] = {
        "id": f"m{number:07d}",
        "text": text,
        "heading": "Machines",
        "citation": f"MEMORY.md:{number}",
        "score": 0.9 - number / 100,
        "parts": {"lexical": 0.7, "vector": 0.8},
        "trust": "owner",
        "label": "normal",
        "source": "MEMORY.md",
    }
    return RecalledMemory(**{**values, **changes})


MEMORIES = [
    memory_of(
        14, "Rule since 2026-02-02: free space is checked before every run, and said when it is under 15 percent."
    ),
    memory_of(13, "Backups: every night at 03:20 to an external disk called Baleia."),
]


class FakeMemory:
    def __init__(self, memories: list[RecalledMemory]) -> None:
        self.memories = memories

    def get(self, ids: list[str]) -> list[RecalledMemory]:
        return [memory for memory in self.memories if memory.id in ids]

    def list(self, *, limit: int = 100) -> list[RecalledMemory]:
        return self.memories[:limit]


class FakeAgent:
    """Replies with ``replies`` in turn, word by word; waits for ``go`` before each word when ``paced``."""

    def __init__(self, *, replies: list[str] | None = None, paced: bool = False, opening: str = "") -> None:
        self.replies = replies or ["No. About **12 percent** is free, and our line is 15."]
        self.paced = paced
        self.go = threading.Event()
        self.words = threading.Semaphore(0)
        self.opening = opening
        self.can_open = threading.Event()
        self.can_open.set()
        self.memory = FakeMemory(list(MEMORIES))
        self.status = FakeStatus()
        self.session = SimpleNamespace(id="s0", path=None, turns=[])
        self.model = SimpleNamespace(source_sha256="base", name="SmolLM2-135M")
        self.registry = SimpleNamespace(list=lambda base="": self.molts, is_pinned=lambda base: False)
        self.molts: list[Any] = []
        self.asked: list[str] = []
        self.rated: list[tuple[str, int]] = []
        self.edited: list[tuple[str, str]] = []
        self.forgotten: list[str] = []
        self.resumed: list[str] = []
        self.stored: dict[str, list[SessionTurn]] = {}
        self.swaps: list[list[Event]] = []
        self.indexing: float | None = None
        self.failing = ""
        self.trouble = ""
        self.closed = False
        self.holds = False
        self._stop = threading.Event()

    def start(self) -> list[Notice]:
        return []

    def open(self) -> list[Notice]:
        self.can_open.wait(10)
        if self.opening:
            raise MoltingError(self.opening)
        return []

    def turn(self, text: str, *, again: bool = False) -> Iterator[Event]:
        self._stop.clear()
        self.asked.append(text)
        number = len(self.asked)
        self.session.turns.append(SessionTurn(f"u{number}", "user", text))
        yield UserSaved(f"u{number}", text)
        if self.failing:
            yield Notice(self.failing, "error")
            return
        memories = tuple(self.memory.memories[:2])
        yield MemoriesShown(memories, 0.01)
        yield ReplyStarted(f"a{number}", self.status.molt)
        said, reason = "", "stop"
        for word in self.replies[(number - 1) % len(self.replies)].split(" "):
            while self.paced and not self.words.acquire(timeout=0.01):
                if self._stop.is_set():
                    break
            if self._stop.is_set():
                reason = "cancelled"
                break
            delta = word if not said else f" {word}"
            said += delta
            yield ReplyDelta(delta)
        ids = tuple(memory.id for memory in memories)
        self.session.turns.append(SessionTurn(f"a{number}", "assistant", said, self.status.molt, ids))
        self.status = replace(self.status, context_used=1500 + 180 * number, tokens_per_s=38.4, memories_shown=2)
        yield ReplyFinished(f"a{number}", said, self.status.molt, reason, 1500, 60, 20, 0.4, 1.2, 38.4, True, memories)

    def stop(self) -> None:
        self._stop.set()

    def new_session(self) -> None:
        self.session = SimpleNamespace(id="s-new", path=None, turns=[])

    def resume(self, session_id: str) -> list[Notice]:
        if session_id not in self.stored:
            raise UsageError(f"{session_id}: no conversation of that id; see: molt sessions ls")
        self.resumed.append(session_id)
        self.session = SimpleNamespace(id=session_id, path=None, turns=self.stored[session_id])
        return []

    def sessions(self) -> list[SessionSummary]:
        return [
            SessionSummary(
                name, Path(f"{name}.jsonl"), turns[0].text, "2026-02-08T14:00:00Z", len(turns), "2026-02-08T14:30:00Z"
            )
            for name, turns in self.stored.items()
        ]

    def search_sessions(self, query: str) -> list[FoundTurn]:
        words = query.casefold().split()
        found = []
        for summary in self.sessions():
            texts = [turn for turn in self.stored[summary.id] if all(word in turn.text.casefold() for word in words)]
            if texts:
                turn = texts[0]
                found.append(FoundTurn(summary, turn.message_id, turn.role, turn.text if words else "", len(texts)))
        return found

    def rate(self, message_id: str, rating: int) -> None:
        self.rated.append((message_id, rating))

    def edit(self, message_id: str, text: str) -> None:
        self.edited.append((message_id, text))

    def remember(self, text: str) -> Receipt:
        return Receipt("m0000099", "added", "/home/x/MEMORY.md", 22, text)

    def forget(self, memory_id: str) -> list[Receipt]:
        found = [memory for memory in self.memory.memories if memory.id == memory_id]
        self.memory.memories = [memory for memory in self.memory.memories if memory.id != memory_id]
        self.forgotten.append(memory_id)
        return [Receipt(memory.id, "removed", "/home/x/MEMORY.md", 14, memory.text) for memory in found]

    def recall(self, query: str) -> list[RecalledMemory]:
        return [memory for memory in self.memory.memories if query.lower() in memory.text.lower()]

    def hold_swap(self, holds: bool) -> None:
        self.holds = holds

    def poll_swap(self) -> list[Event]:
        if self.holds:
            return []
        if self.trouble:
            raise MoltingError(self.trouble)
        return self.swaps.pop(0) if self.swaps else []

    def promote(self, number: int) -> list[Event]:
        old, self.status = self.status.molt, replace(self.status, molt=number)
        return [Swapped(old, number)]

    def rollback(self) -> list[Event]:
        if self.status.molt == 0:
            raise UsageError("there is no molt to return to")
        return self.promote(self.status.molt - 1)

    def close(self) -> None:
        self.closed = True


class FakeRetraining:
    """A training whose progress and end the test decides."""

    def __init__(self) -> None:
        self.now: Progress | None = None
        self.code: int | None = None
        self.calls: list[str] = []
        self.words = ""

    def progress(self) -> Progress | None:
        return self.now

    def wait(self, timeout_s: float | None = None) -> int | None:
        return self.code

    def pause(self) -> None:
        self.calls.append("pause")

    def go_on(self) -> None:
        self.calls.append("go_on")

    def cancel(self) -> None:
        self.calls.append("cancel")

    def last_words(self) -> str:
        return self.words


def training_kind(refusal: str = "", attached: FakeRetraining | None = None) -> Any:
    """A class like Retraining that starts fakes; they are in its ``runs``, their arguments in ``started``."""

    class Kind(FakeRetraining):
        runs: ClassVar[list[FakeRetraining]] = []
        started: ClassVar[list[dict[str, Any]]] = []

        @classmethod
        def start(cls, home: Any, **arguments: Any) -> FakeRetraining:
            if refusal:
                raise MoltingError(refusal)
            run = FakeRetraining()
            cls.runs.append(run)
            cls.started.append(arguments)
            return run

        @classmethod
        def attach(cls, home: Any) -> FakeRetraining | None:
            return attached

    return Kind


def progress_of(**changes: Any) -> Progress:
    values: dict[str, Any] = {
        "pid": 1,
        "state": "training",
        "step": 62,
        "steps": 100,
        "losses": (2.4, 2.0, 1.9, 1.5, 1.4, 1.45),
        "eta_s": 360.0,
        "molt": 2,
        "updated_at": time.time(),
    }
    return Progress(**{**values, **changes})
