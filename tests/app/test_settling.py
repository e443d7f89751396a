"""The molt that speaks settles when nobody asks anything, and he moves over between turns without a word."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from distill.manifest import describe_files, read_manifest, write_manifest
from distill.registry import Molt, Registry
from distill.running import MERGED_NAME, SETTLED
from memory.errors import EngineError
from memory.home import Home
from molting_agent import settling
from molting_agent.config import ModelSettings
from molting_agent.events import Notice, ReplyFinished, Swapped
from molting_agent.runtime.models import EMBEDDED_SHA256, stamp
from molting_agent.settling import IDLE_S, Settling

if TYPE_CHECKING:
    from tests.app.conftest import Stage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def registry(stage: "Stage", write_molt: Callable[..., Path]) -> Registry:
    write_molt(stage.home, 1)
    registry = Registry(stage.home.molts_dir)
    registry.promote(1, EMBEDDED_SHA256)
    return registry


@pytest.fixture
def molt(registry: Registry) -> Molt:
    return registry.get(1)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """What was started, a sleeping process in place of the real child; all ended afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def popen(_command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        process = real([sys.executable, "-c", "import time; time.sleep(600)"], **options)
        started.append(process)
        return process

    real = subprocess.Popen
    monkeypatch.setattr(settling.subprocess, "Popen", popen)
    yield started
    for process in started:
        process.kill()
        process.wait()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(pid: int, wanted: str) -> None:
    for _ in range(200):
        if state_of(pid) in wanted:
            return
        time.sleep(0.02)
    raise AssertionError(f"state {state_of(pid)} and not {wanted}")


def write_settled(molt: Molt) -> Path:
    """As ``settle`` leaves it."""
    path = molt.path / MERGED_NAME
    path.write_bytes(b"merged weights")
    entry = {**describe_files(molt.path, [MERGED_NAME])[MERGED_NAME], "stamp": stamp(path)}
    write_manifest(molt.path, {**read_manifest(molt.path), SETTLED: entry})
    current = molt.path.parent / "current"
    os.utime(current, ns=(0, current.stat().st_mtime_ns + 1))
    return path


def test_it_starts_once_when_nobody_asked_for_a_minute(
    home: Home, molt: Molt, children: list[subprocess.Popen[bytes]]
) -> None:
    clock = Clock()
    watch = Settling(home, ModelSettings(), clock=clock)
    assert watch.look(molt) is False
    clock.now = IDLE_S - 1
    with watch.held():
        pass  # a turn: the minute begins anew
    clock.now = IDLE_S + 1
    assert watch.look(molt) is False
    clock.now = 2 * IDLE_S
    assert watch.look(None) is False
    assert watch.look(molt) is True
    assert watch.look(molt) is False
    assert len(children) == 1
    assert os.getpriority(os.PRIO_PROCESS, children[0].pid) == settling.NICENESS


def test_it_is_held_still_while_he_speaks(home: Home, molt: Molt, children: list[subprocess.Popen[bytes]]) -> None:
    clock = Clock()
    watch = Settling(home, ModelSettings(), clock=clock)
    clock.now = IDLE_S
    watch.look(molt)
    with watch.held():
        wait_for_state(children[0].pid, "T")
    wait_for_state(children[0].pid, "SR")
    children[0].kill()
    assert watch.wait() == -signal.SIGKILL
    with watch.held():  # it is gone: nothing to hold
        pass


@pytest.mark.parametrize("case", ["off", "settled", "refused", "whole", "training"])
def test_it_does_not_start(
    home: Home, molt: Molt, children: list[subprocess.Popen[bytes]], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    watch = Settling(home, ModelSettings(settle=case != "off"), clock=clock)
    clock.now = IDLE_S
    if case in ("settled", "refused"):
        molt.manifest[SETTLED] = {"refused": "worse"} if case == "refused" else {"sha256": "0"}
    if case == "whole":
        molt.manifest["files"]["model.gguf"] = {}
    if case == "training":
        monkeypatch.setattr(settling, "is_running", lambda _progress: True)
    assert watch.look(molt) is False
    assert children == []


def test_the_child_is_told_home_and_model(home: Home) -> None:
    assert Settling(home, ModelSettings()).command[1:] == ["-P", "-m", "distill", "settle", "--home", str(home.root)]
    assert Settling(home, ModelSettings(name="big")).command[-2:] == ["--model", "big"]


def test_he_moves_over_between_turns_and_says_nothing_of_it(
    stage: "Stage", molt: Molt, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = stage.agent()
    list(agent.turn("one"))
    assert stage.engine.moved_to is None
    path = write_settled(molt)
    warmed: list[int] = []
    monkeypatch.setattr(stage.engine, "warm", lambda segments: warmed.append(len(segments)))
    assert agent.poll_swap() == []
    assert agent.poll_swap() == []
    assert len(warmed) == 1  # the next question finds his identity evaluated
    moved = stage.engine.moved_to
    assert moved is not None
    assert (moved.path, stage.engine.adapter) == (path, None)
    assert (moved.source_sha256, agent.speaker.base_sha256) == (EMBEDDED_SHA256, EMBEDDED_SHA256)
    assert agent.status.molt == 1
    events = list(agent.turn("two"))
    assert isinstance(events[-1], ReplyFinished)
    assert not any(isinstance(event, Swapped) for event in events)
    assert [turn.molt for turn in agent.session.turns] == [0, 1, 0, 1]


def test_a_settled_molt_is_opened_at_the_start_and_left(stage: "Stage", molt: Molt, registry: Registry) -> None:
    write_settled(molt)
    agent = stage.agent()
    agent.start()
    assert stage.opened == [None]
    assert agent.status.molt == 1
    registry.promote(0, EMBEDDED_SHA256)
    assert agent.poll_swap() == [Swapped(1, 0)]
    assert stage.engine.moved_to is not None
    assert stage.engine.moved_to.path == agent.model.path  # type: ignore[union-attr]


def test_settling_can_be_turned_off(stage: "Stage", molt: Molt) -> None:
    write_settled(molt)
    agent = stage.agent(settle=False)
    agent.start()
    assert stage.opened == [molt.adapter]


def test_a_merged_file_that_does_not_open_leaves_the_adapter_speaking(
    stage: "Stage", molt: Molt, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = stage.agent()
    agent.start()
    write_settled(molt)

    def refuse(*_arguments: object) -> None:
        raise EngineError("no memory")

    monkeypatch.setattr(stage.engine, "move", refuse)
    notice = Notice("molt 1 could not be loaded (no memory); molt 1 goes on", "warning")
    assert agent.poll_swap() == [notice]
    assert agent.poll_swap() == []  # said once
    assert stage.engine.adapter == molt.adapter
    assert agent.status.molt == 1
