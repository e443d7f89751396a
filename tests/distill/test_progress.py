"""Progress of a retraining: whole or absent, thinned, and honest about whether the process lives."""

import os
import subprocess
import sys
from pathlib import Path

from distill.progress import Progress, is_locked, is_running, read_progress, thin, write_progress
from memory.files import file_lock


def test_what_is_written_is_read_and_a_damaged_file_is_none(tmp_path: Path) -> None:
    training = tmp_path / "molts" / ".training"
    assert read_progress(training) is None
    progress = Progress(pid=7, state="training", step=3, steps=9, losses=(2.0, 1.5), molt=2)
    write_progress(training, progress)
    assert read_progress(training) == progress
    (training / "progress.json").write_text('{"pid": 7, "unknown": 1}')
    assert read_progress(training) is None


def test_thinning_keeps_the_ends_and_the_limit() -> None:
    losses = [float(index) for index in range(1000)]
    points = thin(losses)
    assert len(points) == 200
    assert points[0] == 0.0
    assert points[-1] == 999.0
    assert list(points) == sorted(points)
    assert thin([1.0, 2.0]) == (1.0, 2.0)


def test_only_a_living_training_process_counts_as_running() -> None:
    assert not is_running(None)
    assert is_running(Progress(pid=os.getpid(), state="training"))
    assert not is_running(Progress(pid=os.getpid(), state="promoted"))
    code = "import time; print(flush=True); time.sleep(60)"
    stranger = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    training = subprocess.Popen([sys.executable, "-c", code, "distill"], stdout=subprocess.PIPE)
    try:
        for process in (stranger, training):  # its command line is there once it runs
            assert process.stdout is not None
            process.stdout.readline()
        assert not is_running(Progress(pid=stranger.pid, state="training"))
        assert is_running(Progress(pid=training.pid, state="judging"))
        training.kill()
        training.wait()
        assert not is_running(Progress(pid=training.pid, state="judging"))
    finally:
        for process in (stranger, training):
            process.kill()
            process.wait()


def test_the_lock_tells_whether_a_training_holds_this_home(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with file_lock(tmp_path / "lock") as held:
        assert held
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
