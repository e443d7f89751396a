"""A program on a terminal of its own, for measurements: what it paints is read as it comes, keys are sent and timed."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Sequence

PATIENCE_S = 90.0
STEP_S = 0.02
ECHOES = [chr(code) for code in range(0x0100, 0x017F)]
"""Letters that stand on no screen otherwise: the one that was typed is known again when it is painted."""


class Terminal:
    """``screen`` is everything that was painted so far, as bytes."""

    def __init__(self, command: Sequence[str], *, columns: int = 110, rows: int = 32) -> None:
        self.screen = b""
        self.started = time.perf_counter()
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execv(command[0], list(command))
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, wait_s: float = STEP_S) -> bytes:
        """What comes within ``wait_s``; b"" for nothing."""
        if not select.select([self.file], [], [], wait_s)[0]:
            return b""
        new = os.read(self.file, 65536)
        self.screen += new
        return new

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self.file, keys.encode())

    def until(self, wanted: str, since: int = 0, patience_s: float = PATIENCE_S) -> float:
        """Seconds until ``wanted`` is painted (after the first ``since`` bytes)."""
        started = time.perf_counter()
        while wanted.encode() not in self.screen[since:]:
            if time.perf_counter() - started > patience_s:
                raise TimeoutError(f"{wanted!r} was not painted: {self.screen[-600:]!r}")
            self.read()
        return time.perf_counter() - started

    def echo(self, letter: str, patience_s: float = 5.0) -> float | None:
        """Seconds from a key to its letter on the screen; None when it never comes."""
        since, started = len(self.screen), time.perf_counter()
        self.send(letter)
        while time.perf_counter() - started < patience_s:
            self.read()
            if letter.encode() in self.screen[since:]:
                return time.perf_counter() - started
        return None

    def close(self) -> None:
        """End the program."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)
