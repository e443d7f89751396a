"""QLoRA with random weights: the benchmark's path at a small size, and at 8B where there is a CUDA device."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks" / "qlora.py"
SMALL = ("--layers", "2", "--width", "64", "--vocabulary", "1000", "--steps", "4", "--tokens", "320")


def run(*options: str) -> str:
    command = [sys.executable, str(BENCHMARK), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=BENCHMARK.parent.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def figures(table: str) -> tuple[float, float, float]:
    """Tokens a second, GiB and the last loss."""
    (speed,) = re.findall(r"([\d,]+) tokens/s", table)
    (memory,) = re.findall(r"([\d.]+) GiB", table)
    (loss,) = re.findall(r", ([\d.]+) nats", table)
    return float(speed.replace(",", "")), float(memory), float(loss)


@pytest.mark.slow
def test_the_measure_runs_at_a_small_size() -> None:
    speed, memory, loss = figures(run(*SMALL))
    assert speed > 0
    assert memory > 0
    assert 5 < loss < 9  # near log(1000): nothing is to be learnt from random tokens


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_8b_trains_in_four_bits_on_one_device() -> None:
    """The whole model stays under what its 16-bit weights alone would take."""
    speed, memory, loss = figures(run())
    assert speed > 0
    assert memory < 8.03e9 * 2 / 2**30
    assert 10 < loss < 14
