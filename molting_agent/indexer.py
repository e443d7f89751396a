"""Keeps the memory in step with the home's files in a background thread, so that no turn waits for it."""

import threading
from collections.abc import Callable

from memory.api import Memory
from memory.home import Home
from memory.values import IngestProgress
from memory.watch import Watcher
from molting_agent.clean import clean_line
from molting_agent.events import Notice

NoProgress = IngestProgress("embedding", 0, 0)


class Indexer:
    """Runs ``Memory.sync`` when asked and fills missing vectors after it; requests that come meanwhile are one.

    The thread is a daemon: each step is a transaction that a later run goes on from, so that leaving may cut it short.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._wanted = threading.Event()
        self._idle = threading.Event()
        self._closing = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._watcher: Watcher | None = None
        self._with_vectors = False
        self._with_warming = False
        self._error = ""
        self._notice = ""
        self.progress = NoProgress
        """How many memories of how many have their vector, while that is under way; 0 of 0 otherwise."""

    def soon(self, *, vectors: bool, warm: bool = False) -> None:
        """Read new and changed files; ``vectors``: embed what has none yet; ``warm``: load embedder and index first."""
        if self._closing.is_set():
            return
        self._with_vectors = self._with_vectors or vectors
        self._with_warming = self._with_warming or warm
        self._idle.clear()
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="index", daemon=True)
            self._thread.start()

    def watch(self, home: Home) -> None:
        """From here on edits of MEMORY.md, notes and identity files are taken in by themselves, within a second."""
        if self._watcher is None and not self._closing.is_set():
            self._watcher = Watcher(home, lambda: self.soon(vectors=True), self._look)
            self._watcher.start()

    def wait(self, timeout_s: float) -> bool:
        """Until the files are read (vectors may still be missing); False when it takes longer."""
        return self._idle.wait(timeout_s)

    def take_error(self) -> str:
        """Why the last run failed, told once; "" when it did not."""
        error, self._error = self._error, ""
        return error

    def take_notice(self) -> str:
        """What embedder and index have to say, told once; "" for nothing."""
        notice, self._notice = self._notice, ""
        return notice

    def close(self, timeout_s: float) -> bool:
        """Let the running work end within ``timeout_s``; False when it is left to a later run."""
        self._closing.set()
        self._wanted.set()
        if self._watcher is not None:
            self._watcher.close()
        if self._thread is None:
            return True
        self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    def _look(self) -> None:
        """Twice a second: whether other processes wrote, so that the vector index follows them too."""
        if self._idle.is_set() and not self._wanted.is_set():
            self._tried(self._memory.keep_in_step)

    def _note(self, progress: IngestProgress) -> None:
        self.progress = progress if progress.done < progress.total else NoProgress

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._closing.is_set() and self._idle.is_set():
                return
            self._wanted.clear()
            self._tried(self._read)
            self.progress = NoProgress
            if not self._wanted.is_set():
                self._idle.set()
            if self._closing.is_set():
                return

    def _read(self) -> None:
        with_vectors, self._with_vectors = self._with_vectors, False
        with_warming, self._with_warming = self._with_warming, False
        self._memory.sync()
        if not self._wanted.is_set():
            self._idle.set()
        if with_warming:
            self._memory.warm()
        if with_vectors:
            self._memory.fill_vectors(self._note)

    def _tried(self, work: Callable[[], None]) -> None:
        """Whatever fails here may cost freshness, never a turn."""
        try:
            work()
            self._notice = clean_line(self._memory.take_notice()) or self._notice
        except Exception as error:  # many kinds, and none of them is a reason to end the thread
            self._error = clean_line(str(error)) or type(error).__name__


def memory_notice(reason: str) -> Notice:
    """The line about a memory that failed while the turn goes on."""
    return Notice(f"the memory did not answer ({clean_line(reason)}); see: molt doctor", "warning")
