"""What the benchmarks share: a prepared home, medians with their spread, and one way to print a table."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from memory.home import Home
from molting_agent.identity import create_home


def bench_home(root: str = "") -> Home:
    """A home for measuring: ``$MOLTING_BENCH_HOME`` if set, else a new one in a temporary folder."""
    folder = root or os.environ.get("MOLTING_BENCH_HOME") or tempfile.mkdtemp(prefix="molting-bench-")
    home = Home(Path(folder))
    create_home(home)
    return home


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds that ``action`` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range of the repeats."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Pairwise ratios of repeats that were taken in turns."""
    return [n / d for n, d in zip(numerators, denominators, strict=True)]


def print_table(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """A markdown table: what, figure, goal."""
    print(f"\n{title}\n\n| what | measured | goal |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
