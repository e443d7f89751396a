"""Fills a store with what is new: one evaluation a dialogue, kept at once, so that an interrupted run loses nothing."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from distill.dialogue import Dialogue
from distill.signals.record import Signal, signal
from distill.signals.store import SignalStore
from distill.teachers.patience import Patience
from distill.teachers.protocol import Rejected, Stopped, Unavailable
from distill.teachers.scoring.protocol import Request, ScoringTeacher, ScoringTraits, key_of
from memory.errors import TrainingError
from molting_agent.runtime.template import Message

LOOK_EVERY_S = 0.2


@dataclass(slots=True)
class Filled:
    """How far a filling is: ``replies`` to score in all, ``known`` of them before, ``new`` since.

    ``left_out`` counts by reason, ``tokens`` are those of the new signals.
    """

    replies: int
    known: int
    new: int = 0
    tokens: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    stopped: bool = False

    @property
    def left(self) -> int:
        """Replies still to score."""
        return self.replies - self.known - self.new - self.left_out.total()


def request_of(dialogue: Dialogue, system: str) -> Request:
    """A dialogue under a system prompt as a scoring teacher gets it; only normal turns stand in a dialogue."""
    names = chain((dialogue.conversation,), *dialogue.ids)
    return Request((Message("system", system), *dialogue.messages), tuple(dict.fromkeys(names)))


def stored(store: SignalStore, traits: ScoringTraits, request: Request) -> list[Signal | None]:
    """What the teacher said of each target reply, None where the store has nothing."""
    return [store.get(key_of(traits, request.messages, place)) for place in request.targets]


def missing(store: SignalStore, traits: ScoringTraits, requests: Sequence[Request]) -> tuple[list[Request], Filled]:
    """The requests with what is new in them as their only targets, and the count of all; a reply counts once."""
    asked: set[str] = set()
    found: list[Request] = []
    filled = Filled(0, 0)
    for request in requests:
        wanted = set()
        for place in request.targets:
            key = key_of(traits, request.messages, place)
            if key in asked:
                continue
            asked.add(key)
            filled.replies += 1
            if key in store:
                filled.known += 1
            else:
                wanted.add(place)
        if wanted:
            messages = [replace(m, target=place in wanted) for place, m in enumerate(request.messages)]
            found.append(replace(request, messages=tuple(messages[: max(wanted) + 1])))
    return found, filled


def fill(
    store: SignalStore,
    teacher: ScoringTeacher,
    requests: Sequence[Request],
    *,
    stop: threading.Event,
    on_progress: Callable[[Filled], None] = lambda _filled: None,
) -> Filled:
    """Score what the store lacks; the caller holds ``store.writing()``. What is scored is on disk before the next.

    A dialogue that cannot be scored is left out with its reason. Errors: TrainingError where a server stays silent, and
    what else of MoltingError the teacher raises.
    """
    traits = teacher.traits
    wanted, filled = missing(store, traits, requests)
    context = _keep_context(store, traits) if wanted else ()
    patience = Patience(traits.retries, stop)
    waiting = iter(wanted)
    with ThreadPoolExecutor(traits.concurrency, thread_name_prefix=traits.name) as pool:

        def begin(request: Request) -> tuple[Future[list[Signal]], Request]:
            return pool.submit(patience.until, lambda: teacher.score(request)), request

        running = dict(map(begin, islice(waiting, traits.concurrency)))
        while running:
            done, _ = wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in done:
                request = running.pop(future)
                _keep(store, traits, request, future, context, filled)
                if not (stop.is_set() or filled.stopped):
                    running.update(map(begin, islice(waiting, 1)))
            on_progress(filled)
    filled.stopped = filled.stopped or (stop.is_set() and filled.left > 0)
    return filled


def _keep(
    store: SignalStore,
    traits: ScoringTraits,
    request: Request,
    future: Future[list[Signal]],
    context: tuple[str, ...],
    filled: Filled,
) -> None:
    """Put what came of one dialogue into the store and the count."""
    try:
        signals = future.result()
    except Rejected as reason:
        filled.left_out[str(reason)] += len(request.targets)
        return
    except Stopped:
        filled.stopped = True
        return
    except Unavailable as failure:
        raise TrainingError(f"teacher {traits.name}: no answer ({failure}); run the same command again later") from None
    ids = (*request.ids, *context)
    places = zip(request.targets, signals, strict=True)
    store.add([(key_of(traits, request.messages, place), found, ids) for place, found in places])
    filled.new += len(signals)
    filled.tokens += sum(map(len, signals))


def _keep_context(store: SignalStore, traits: ScoringTraits) -> tuple[str, ...]:
    """The key of an empty record that names the teacher's own context, once for all that is said under it."""
    if not traits.context_ids:
        return ()
    key = hashlib.sha256(json.dumps(traits.context_ids).encode()).hexdigest()
    if key not in store:
        store.add([(key, signal([], [], []), traits.context_ids)])
    return (key,)
