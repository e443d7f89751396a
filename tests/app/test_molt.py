"""A retraining as the app sees it, with a small child in its place: started, watched, paused, stopped, joined."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory.errors import TrainingError
from memory.home import Home
from molting_agent.molt import NICENESS, Retraining, child_command, training_paused

CHILD = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from distill.progress import Progress, write_progress
folder = Path({folder!r})
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
def report(state, step, message=""):
    write_progress(folder, Progress(os.getpid(), state, step=step, steps=100, molt=7, message=message))
report("training", 0)
for step in range(1, 100):
    time.sleep(0.02)
    report("training", step)
    if stopped:
        report("cancelled", step, "stopped at a checkpoint")
        sys.exit(12)
    if step == {steps}:
        break
report({state!r}, 100, "the end")
print("last words", file=sys.stderr)
sys.exit({code})
"""


class Children:
    """Starts made-up children of a home and ends them after the test."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.started: list[Retraining] = []

    def command(self, *, steps: int = 3, state: str = "promoted", code: int = 0) -> list[str]:
        # The name says "distill": so a training process is told from a stranger with a reused pid.
        script = self.folder / "distill_child.py"
        root = str(Path(__file__).parents[2])
        script.write_text(
            CHILD.format(root=root, folder=str(self.home.training_dir), steps=steps, state=state, code=code)
        )
        return [sys.executable, str(script)]

    def start(self, **how: object) -> Retraining:
        retraining = Retraining.start(self.home, command=self.command(**how))  # type: ignore[arg-type]
        self.started.append(retraining)
        return retraining

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.01)


@pytest.fixture
def children(home: Home, tmp_path: Path) -> Iterator[Children]:
    children = Children(home, tmp_path)
    yield children
    for retraining in children.started:
        if retraining.is_alive():
            os.kill(retraining.pid, signal.SIGKILL)
            retraining.wait(10)


def step_of(retraining: Retraining) -> int:
    progress = retraining.progress()
    return progress.step if progress else -1


def state_of_process(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(("state", "code"), [("promoted", 0), ("rejected", 10), ("failed", 1), ("failed", 11)])
def test_it_ends_with_the_childs_exit_code(children: Children, state: str, code: int) -> None:
    retraining = children.start(state=state, code=code)
    assert retraining.wait(30) == code
    progress = retraining.progress()
    assert progress is not None
    assert (progress.state, progress.molt) == (state, 7)
    assert retraining.last_words() == "last words"
    assert not retraining.is_alive()


def test_it_runs_in_a_session_of_its_own_at_low_priority(children: Children) -> None:
    retraining = children.start(steps=99)
    assert os.getsid(retraining.pid) == retraining.pid != os.getsid(0)
    assert os.getpriority(os.PRIO_PROCESS, retraining.pid) == NICENESS
    assert retraining.wait(0.01) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is read from /proc")
def test_pausing_stops_it_and_going_on_lets_it_end(children: Children) -> None:
    retraining = children.start(steps=20)
    children.until(lambda: step_of(retraining) >= 2)
    retraining.pause()
    children.until(lambda: state_of_process(retraining.pid) == "T")
    at = step_of(retraining)
    time.sleep(0.2)
    assert step_of(retraining) == at
    retraining.go_on()
    assert retraining.wait(30) == 0


def test_cancelling_ends_it_with_a_checkpoint_even_while_paused(children: Children) -> None:
    retraining = children.start(steps=99)
    children.until(lambda: step_of(retraining) >= 1)
    retraining.pause()
    retraining.cancel()
    assert retraining.wait(30) == 12
    progress = retraining.progress()
    assert progress is not None
    assert progress.state == "cancelled"
    retraining.cancel()  # of something that has ended: nothing happens


def test_a_second_one_is_refused_and_the_first_can_be_joined(children: Children) -> None:
    first = children.start(steps=30)
    children.until(lambda: step_of(first) >= 1)
    with pytest.raises(TrainingError, match="under way"):
        children.start()
    joined = Retraining.attach(children.home)
    assert joined is not None
    assert joined.pid == first.pid
    first.pause()
    again = Retraining.attach(children.home)  # sets going what an app left paused
    assert again is not None
    assert first.wait(30) == 0
    assert again.wait(30) == 0
    assert Retraining.attach(children.home) is None


def test_a_joined_one_that_is_killed_counts_as_failed(children: Children) -> None:
    first = children.start(steps=99)
    children.until(lambda: step_of(first) >= 1)
    joined = Retraining.attach(children.home)
    assert joined is not None
    os.kill(first.pid, signal.SIGKILL)
    first.wait(10)
    assert joined.wait(10) == 1
    assert Retraining.attach(children.home) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is read from /proc")
def test_it_is_held_still_while_a_reply_streams(children: Children) -> None:
    retraining = children.start(steps=99)
    children.until(lambda: step_of(retraining) >= 1)
    with training_paused(children.home) as paused:
        assert paused
        children.until(lambda: state_of_process(retraining.pid) == "T")
    children.until(lambda: state_of_process(retraining.pid) != "T")


def test_nothing_to_pause_is_no_error(home: Home) -> None:
    with training_paused(home) as paused:
        assert not paused
    assert Retraining.attach(home) is None


def test_a_child_that_cannot_start_is_said(home: Home) -> None:
    with pytest.raises(TrainingError, match="could not be started"):
        Retraining.start(home, command=["/nowhere/python"])


def test_the_command_line(home: Home) -> None:
    command = child_command(home, minutes=5, resume=True)
    assert command[1:5] == ["-P", "-m", "distill", "train"]
    assert command[5:] == ["--home", str(home.root), "--minutes", "5", "--resume"]
    assert child_command(home, plan=True, as_json=True)[-2:] == ["--plan", "--json"]
    command = child_command(home, fresh=True, recipe="plain", settings=("epochs=2", "rank=8"))
    assert command[7:] == ["--recipe", "plain", "--set", "epochs=2", "--set", "rank=8", "--fresh"]


def test_the_base_that_speaks_is_the_one_that_learns(home: Home) -> None:
    home.config_file.write_text('[model]\nname = "other-model"\n')
    command = child_command(home)
    assert command[command.index("--model") + 1] == "other-model"
