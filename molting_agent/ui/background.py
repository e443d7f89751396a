"""Slow calls in daemon threads: the work runs outside, its result comes back to the interface's own thread."""

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from textual.app import App
from textual.message import Message

from memory.errors import MoltingError


class Deliver(Message, bubble=False):
    """A callback for the interface's thread; the app calls it when it arrives."""

    def __init__(self, callback: Callable[[], Awaitable[None] | None]) -> None:
        super().__init__()
        self.callback = callback


def one_line(error: BaseException) -> str:
    """An error as one line for a person; unexpected ones carry their type, since their text alone says little."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MoltingError) and text else f"{type(error).__name__}: {text}".rstrip(": ")


def in_background(
    app: App[Any],
    work: Callable[[], Any],
    *,
    then: Callable[[Any], Any] | None = None,
    failed: Callable[[str], Any] | None = None,
) -> threading.Thread:
    """Run ``work`` in a thread; afterwards ``then(result)`` or ``failed(one line)`` in the interface's thread.

    Daemon threads and not Textual's thread workers: leaving the app must never wait for a model that still loads.
    """

    def body() -> None:
        try:
            result = work()
        except Exception as error:  # whatever fails in a thread has to reach the person, or nobody learns of it
            app.log.error(error)
            if failed is not None:
                app.post_message(Deliver(partial(failed, one_line(error))))
            return
        if then is not None:
            app.post_message(Deliver(partial(then, result)))

    thread = threading.Thread(target=body, name="molting-ui", daemon=True)
    thread.start()
    return thread
