"""When the app is idle, the molt that speaks is merged in the background, so that its adapter slows no reply."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from distill.progress import is_running, read_progress
from distill.registry import Molt
from distill.running import SETTLED
from memory.home import Home
from molting_agent.config import ModelSettings

IDLE_S = 60.0
"""A minute without a question: who reads or writes is not disturbed, who has gone is not missed."""
NICENESS = 19
LOG_NAME = "settle.log"


class Settling:
    """Starts ``python -m distill settle`` once a molt when it is due, and holds it still while a reply streams."""

    def __init__(self, home: Home, settings: ModelSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._since = clock()
        self._tried: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """The child's command line."""
        name = ["--model", self._settings.name] if self._settings.name else []
        return [sys.executable, "-P", "-m", "distill", "settle", "--home", str(self._home.root), *name]

    def look(self, molt: Molt | None) -> bool:
        """Between turns: start the child if ``molt`` speaks with an adapter and all is quiet; whether it did."""
        if not self._is_due(molt):
            return False
        assert molt is not None  # noqa: S101 - the base is never due
        self._tried.add(molt.number)
        self._home.logs_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._home.logs_dir / LOG_NAME).open("ab") as output:
            # It outlives the app: the next start finds its file.
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        with contextlib.suppress(OSError):  # it may have ended already
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        return True

    def _is_due(self, molt: Molt | None) -> bool:
        return (
            molt is not None
            and self._settings.settle
            and molt.whole is None
            and molt.number not in self._tried
            and SETTLED not in molt.manifest
            and self._clock() - self._since >= IDLE_S
            and not is_running(read_progress(self._home.training_dir))
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the child and its workers still, and count the idle time anew from the end."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)
            self._since = self._clock()

    def wait(self) -> int | None:
        """The child's exit code, once it has ended; None when there is none."""
        return self._process.wait() if self._process else None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
