"""Keeps the memory in step with the home's files in a background thread, so that no turn waits for it."""

import threading

from memory.api import Memory
from molting_agent.clean import clean_line


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
        self._with_vectors = False
        self._with_warming = False
        self._error = ""

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

    def wait(self, timeout_s: float) -> bool:
        """Until the files are read (vectors may still be missing); False when it takes longer."""
        return self._idle.wait(timeout_s)

    def take_error(self) -> str:
        """Why the last run failed, told once; "" when it did not."""
        error, self._error = self._error, ""
        return error

    def close(self, timeout_s: float) -> bool:
        """Let the running work end within ``timeout_s``; False when it is left to a later run."""
        self._closing.set()
        self._wanted.set()
        if self._thread is None:
            return True
        self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._closing.is_set() and self._idle.is_set():
                return
            self._wanted.clear()
            with_vectors, self._with_vectors = self._with_vectors, False
            with_warming, self._with_warming = self._with_warming, False
            try:
                self._memory.sync()
                if not self._wanted.is_set():
                    self._idle.set()
                if with_warming:
                    self._memory.warm()
                if with_vectors:
                    self._memory.fill_vectors()
            except Exception as error:  # whatever fails here may cost freshness, never a turn
                self._error = clean_line(str(error)) or type(error).__name__
                if not self._wanted.is_set():
                    self._idle.set()
            if self._closing.is_set():
                return
