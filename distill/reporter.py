"""Tells how a retraining goes: progress.json for the app, a log line a phase; and hears the request to stop."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.progress import Progress, thin, write_progress

WRITE_EVERY_S = 0.5


class Stopped(Exception):  # noqa: N818 - a request, not a failure
    """The person asked the run to stop; everything done so far is on disk."""


class Reporter:
    """Progress of one run, in memory alone when ``training_dir`` is None.

    SIGTERM and SIGINT set ``stop``, which the run heeds at its next step.
    """

    def __init__(self, training_dir: Path | None) -> None:
        self.training_dir = training_dir
        self.stop = threading.Event()
        now = time.time()
        self.progress = Progress(pid=os.getpid(), state="collecting", started_at=now, updated_at=now)
        self._written_at = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: Any) -> None:
        self.stop.set()

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self.stop.is_set()

    def check(self) -> None:
        """Raise Stopped if the run was asked to stop."""
        if self.stopping:
            raise Stopped

    def phase(self, state: str, message: str, **values: Any) -> None:
        """Enter a phase (or end in a state); written at once, and a line of the log."""
        print(f"{time.strftime('%H:%M:%S')} {state}: {message}", file=sys.stderr, flush=True)
        self._update(state=state, message=message, **values)
        self._write()

    def step(self, losses: Sequence[float], **values: Any) -> None:
        """One more step or item; written a few times a second at most."""
        self._update(losses=thin(losses) if losses else self.progress.losses, **values)
        if time.monotonic() - self._written_at >= WRITE_EVERY_S:
            self._write()

    def _update(self, **values: Any) -> None:
        self.progress = replace(self.progress, updated_at=time.time(), **values)

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: progress is only a report, the run goes on
            if self.training_dir is not None:
                write_progress(self.training_dir, self.progress)
        self._written_at = time.monotonic()
