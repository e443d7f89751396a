"""A retraining seen from the app: the child process is started, watched, paused while a reply streams, and stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from distill.progress import (
    EXIT_CANCELLED,
    EXIT_FAILED,
    EXIT_PROMOTED,
    EXIT_REJECTED,
    Progress,
    is_locked,
    is_running,
    read_progress,
)
from memory.errors import TrainingError
from memory.home import Home

NICENESS = 10
LOG_NAME = "retrain.log"
_EXIT_OF_STATE = {"promoted": EXIT_PROMOTED, "rejected": EXIT_REJECTED, "cancelled": EXIT_CANCELLED}
# A child reports itself after its first imports; waiting for the pid of a run we did not start is bounded by this.
_POLL_S = 0.1


def child_command(
    home: Home,
    *,
    minutes: float | None = None,
    resume: bool = False,
    fresh: bool = False,
    plan: bool = False,
    as_json: bool = False,
    recipe: str = "",
    settings: Sequence[str] = (),
) -> list[str]:
    """The command line of the training child, for the base model that speaks in this home. Errors: HomeError.

    ``settings`` are KEY=VALUE of the school; ``recipe`` is one of its recipes by name, or a TOML file.
    """
    from molting_agent.config import load_config

    command = [sys.executable, "-P", "-m", "distill", "train", "--home", str(home.root)]
    values = {"--minutes": str(minutes) if minutes else "", "--recipe": recipe, "--model": load_config(home).model.name}
    for option, value in values.items():
        command += [option, value] if value else []
    for setting in settings:
        command += ["--set", setting]
    flags = {"--resume": resume, "--fresh": fresh, "--plan": plan, "--json": as_json}
    return command + [flag for flag, wanted in flags.items() if wanted]


class Retraining:
    """One retraining of a home, in a process of its own that outlives the app."""

    def __init__(self, home: Home, pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
        self.home = home
        self.pid = pid
        self.paused = False
        self._process = process

    @classmethod
    def start(
        cls,
        home: Home,
        *,
        minutes: float | None = None,
        resume: bool = False,
        fresh: bool = False,
        recipe: str = "",
        settings: Sequence[str] = (),
        command: Sequence[str] | None = None,
    ) -> "Retraining":
        """Start the child in a session of its own, at low priority; the options are those of ``child_command``.

        Errors: TrainingError when one runs already.
        """
        if is_running(read_progress(home.training_dir)) or is_locked(home.training_dir):
            raise TrainingError("a retraining is under way in this home already; watch it: molt retrain")
        home.logs_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.training_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = cls.log_file(home)
        arguments = list(
            command
            or child_command(home, minutes=minutes, resume=resume, fresh=fresh, recipe=recipe, settings=settings)
        )
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
        except OSError as error:
            raise TrainingError(f"the retraining could not be started ({error.strerror}): {arguments[0]}") from None
        with contextlib.suppress(OSError):  # it may have ended already
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return cls(home, process.pid, process)

    @classmethod
    def attach(cls, home: Home) -> "Retraining | None":
        """The retraining that is under way, and set going should it be paused; None when there is none."""
        running = cls.running(home)
        if running:
            running.go_on()
        return running

    @classmethod
    def running(cls, home: Home) -> "Retraining | None":
        """The retraining that is under way, left as it is."""
        progress = read_progress(home.training_dir)
        return cls(home, progress.pid) if progress and is_running(progress) else None

    @staticmethod
    def log_file(home: Home) -> Path:
        """What the child writes besides its progress."""
        return home.logs_dir / LOG_NAME

    def progress(self) -> Progress | None:
        """How far it is; None until this run has reported itself."""
        progress = read_progress(self.home.training_dir)
        return progress if progress and progress.pid == self.pid else None

    def is_alive(self) -> bool:
        """The process has not ended."""
        if self._process:
            return self._process.poll() is None
        progress = self.progress()
        return is_running(progress)

    def pause(self) -> None:
        """Stop computing at once and keep everything in memory."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def go_on(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)
        self.paused = False

    def cancel(self) -> None:
        """Have it stop at its next step with a checkpoint, from which ``resume`` goes on."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        self.go_on()  # a stopped process would not hear it

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code, None when it takes longer: 0 promoted, 10 rejected, 11 too little, 12 cancelled, 1 failed."""
        if self._process:
            try:
                return self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return None
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self.is_alive():
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)
        last = self.progress()
        return _EXIT_OF_STATE.get(last.state, EXIT_FAILED) if last else EXIT_FAILED

    def last_words(self) -> str:
        """The last line of its log, for a failure that left no message."""
        try:
            lines = self.log_file(self.home).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _signal(self, number: signal.Signals) -> None:
        """To the child and its own workers; only to the child itself when it leads no group of its own."""
        if not self.is_alive():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)


@contextlib.contextmanager
def training_paused(home: Home) -> Iterator[bool]:
    """Hold a running retraining still for a while (a reply streams); yields whether there was one."""
    running = Retraining.running(home)
    if running is None:
        yield False
        return
    running.pause()
    try:
        yield True
    finally:
        running.go_on()
