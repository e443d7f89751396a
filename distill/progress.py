"""How far a retraining is: one small file that the child replaces and anyone may read."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from memory.files import file_lock, write_atomic

PROGRESS_NAME = "progress.json"
LOCK_NAME = "lock"
MAX_LOSSES = 200
BARS = "▁▂▃▄▅▆▇█"

# Exit codes of the training child, and of `molt retrain`.
EXIT_PROMOTED, EXIT_FAILED, EXIT_REJECTED, EXIT_TOO_LITTLE, EXIT_CANCELLED = 0, 1, 10, 11, 12

WORKING = ("collecting", "training", "exporting", "judging")
ENDED = ("promoted", "rejected", "failed", "cancelled", "interrupted")


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a retraining. Times are seconds; ``started_at`` and ``updated_at`` are seconds since 1970.

    ``losses`` is the curve so far (nats a token), thinned to at most 200 points; ``message`` is one line for a person.
    """

    pid: int
    state: str
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    loss: float = 0.0
    losses: tuple[float, ...] = ()
    tokens_per_s: float = 0.0
    eta_s: float = 0.0
    molt: int = 0
    message: str = ""
    started_at: float = 0.0
    updated_at: float = 0.0

    @property
    def working(self) -> bool:
        """The state is one of a run under way; whether its process lives is ``is_running``."""
        return self.state in WORKING


def thin(losses: Sequence[float]) -> tuple[float, ...]:
    """At most 200 points of a curve, evenly spaced, the last one always among them."""
    if len(losses) <= MAX_LOSSES:
        return tuple(losses)
    last = len(losses) - 1
    return tuple(losses[round(index * last / (MAX_LOSSES - 1))] for index in range(MAX_LOSSES))


def sparkline(values: Sequence[float], cells: int) -> str:
    """A curve in at most ``cells`` characters, newest at the right; each is the mean of its share."""
    cells = min(cells, len(values))
    shares = [values[cell * len(values) // cells : (cell + 1) * len(values) // cells] for cell in range(cells)]
    means = [sum(share) / len(share) for share in shares]
    low, span = min(means, default=0.0), max(means, default=0.0) - min(means, default=0.0)
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1)) if span else 0] for mean in means)


def write_progress(training_dir: Path, p: Progress) -> None:
    """Replace ``progress.json`` at once; readers see the old or the new one, never half."""
    training_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(training_dir / PROGRESS_NAME, json.dumps(asdict(p), ensure_ascii=False) + "\n")


def read_progress(training_dir: Path) -> Progress | None:
    """The last written progress; None when there is none or it cannot be read (it is only a report)."""
    try:
        values = json.loads((training_dir / PROGRESS_NAME).read_text(encoding="utf-8"))
        values["losses"] = tuple(values.get("losses", ()))
        return Progress(**values)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def is_running(p: Progress | None) -> bool:
    """The run is under way: its state says so, and its process lives and is a training (pids are used again)."""
    return p is not None and p.working and _is_training_process(p.pid)


def is_locked(training_dir: Path) -> bool:
    """Somebody holds the training lock of this home: surer than ``is_running``, and true from the first moment."""
    lock = training_dir / LOCK_NAME
    if not lock.exists():
        return False
    with file_lock(lock, blocking=False) as free:
        return not free


def _is_training_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except PermissionError:
        pass
    if pid == os.getpid():
        return True
    return "distill" in _command_line(pid)


def _command_line(pid: int) -> str:
    """The command of a process, from /proc or (macOS) ps; a dead child not yet waited for has none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return shown.stdout
