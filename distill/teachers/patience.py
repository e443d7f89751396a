"""Asking again: exponential backoff with jitter, the wait a server asks for, and one pause for all threads."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from distill.teachers.protocol import Answer, Prompt, Stopped, Teacher, Unavailable

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_WAIT_S = 900.0
"""A server that wants a longer pause than this is better asked again another time."""
T = TypeVar("T")


def wait_s(attempt: int, after_s: float | None, draw: float) -> float:
    """Seconds before attempt ``attempt`` + 1 (pure; ``draw`` is uniform in [0, 1)).

    Without a wish of the server: 1, 2, 4, ... up to 60 s, each shortened by up to a half, so that many clients do not
    come back at once. With one: that, and up to a tenth more, never less.
    """
    if after_s is not None:
        return after_s * (1 + 0.1 * draw)
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**attempt) * (1 - 0.5 * draw)


class Patience:
    """Asks a teacher until it answers. When a server names a wait, every thread keeps it, not only the one that heard.

    ``stop`` ends a wait at once; ``on_wait(seconds, reason)`` is told of each one.
    """

    def __init__(
        self,
        retries: int,
        stop: threading.Event,
        *,
        on_wait: Callable[[float, str], None] = lambda _seconds, _reason: None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._retries = retries
        self._stop = stop
        self._on_wait = on_wait
        self._draw = draw
        self._not_before = 0.0  # time.monotonic()

    def ask(self, teacher: Teacher, prompt: Prompt) -> Answer:
        """The answer. Raises Unavailable when all attempts failed, Stopped, and what the teacher raises else."""
        return self.until(lambda: teacher.ask(prompt))

    def until(self, call: Callable[[], T]) -> T:
        """What ``call`` returns when it does not raise Unavailable; see ``ask``."""
        for attempt in range(self._retries + 1):
            self._pause(self._not_before - time.monotonic())
            try:
                return call()
            except Unavailable as failure:
                asked = failure.after_s or 0.0
                if attempt == self._retries or asked > LONGEST_ASKED_WAIT_S:
                    raise
                seconds = wait_s(attempt, failure.after_s, self._draw())
                if failure.after_s is not None:
                    self._not_before = max(self._not_before, time.monotonic() + failure.after_s)
                self._on_wait(seconds, str(failure))
                self._pause(seconds)
        raise AssertionError("unreachable: the last attempt answers or raises")

    def _pause(self, seconds: float) -> None:
        if self._stop.is_set() or (seconds > 0 and self._stop.wait(seconds)):
            raise Stopped
