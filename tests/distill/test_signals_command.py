"""``python -m distill signals`` as a process: estimate, one run, kill -9, Ctrl+C, and errors in one line."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from talks import CONVERSATIONS

from distill.signals.store import DATA, SignalStore, signals_dir
from memory.api import Memory
from memory.home import Home
from molting_agent.identity import create_home

# Short prompts and parts: each dialogue is scored in a second, and there are many to be killed between.
SHORT = ["--set", "conversation_tokens=120", "--json"]


@pytest.fixture
def small_home(make_home: Callable[..., Home]) -> Home:
    """A home with a short identity and four conversations."""
    home = make_home("small")
    create_home(home)
    for name in ("SOUL.md", "IDENTITY.md", "USER.md"):
        home.identity_dir.joinpath(name).write_text(f"{name}: You are Cláudio.\n")
    memory = Memory(home)
    memory.ingest(sorted(CONVERSATIONS.joinpath("openclaw").glob("*.jsonl"))[:4])
    memory.close()
    return home


def command(home: Home, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "distill", "signals", "--home", str(home.root), *arguments]


def run(home: Home, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(command(home, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code in (0, 12) else done.stderr


def result(home: Home, *arguments: str, code: int = 0) -> dict[str, Any]:
    return json.loads(run(home, "--teacher", "anchor", *SHORT, *arguments, code=code))


def started(home: Home, replies: int) -> subprocess.Popen[str]:
    """A run of which so many replies are on disk."""
    child = subprocess.Popen(
        command(home, "--teacher", "anchor", *SHORT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(SignalStore(signals_dir(home) / "anchor")) < replies:
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        time.sleep(0.02)
    return child


def test_a_dry_run_scores_nothing_and_a_run_all(small_home: Home) -> None:
    dry = result(small_home, "--dry-run")
    assert dry["left"] == dry["replies"] > 5
    assert not signals_dir(small_home).exists()
    done = result(small_home)
    assert (done["replies"], done["known"], done["new"], done["left"]) == (dry["replies"], 0, dry["replies"], 0)
    assert done["new_tokens"] == done["stored_tokens"]
    assert 180 < done["bytes_a_token"] <= 224
    assert done["same_vocabulary"] is True
    assert 0 < done["calibration"]["error"] < done["calibration"]["confidence"] < 1
    text = run(small_home, "--teacher", "anchor", *SHORT[:2])
    assert f"replies     {dry['replies']:,} ({dry['replies']:,} known)" in text
    assert "bytes a token" in text
    assert "expected calibration error" in text


@pytest.mark.slow
def test_killed_and_stopped_it_scores_nothing_twice(small_home: Home) -> None:
    child = started(small_home, 2)
    child.kill()
    child.communicate()
    kept = len(SignalStore(signals_dir(small_home) / "anchor"))
    child = started(small_home, kept + 2)
    child.send_signal(signal.SIGINT)
    out, _err = child.communicate()
    stopped = json.loads(out)
    assert child.returncode == 12
    assert stopped["stopped"] is True
    assert stopped["known"] == kept
    assert stopped["left"] == stopped["replies"] - kept - stopped["new"] > 0
    done = result(small_home)
    assert done["known"] == kept + stopped["new"]
    assert done["new"] == stopped["left"]
    store = SignalStore(signals_dir(small_home) / "anchor")
    assert len(store) == done["replies"]
    # Nothing stands there twice: the file is as long as what is known.
    assert (store.folder / DATA).stat().st_size == store.size_bytes + 24


def test_errors_are_one_line(small_home: Home, tmp_path: Path) -> None:
    nowhere = Home(tmp_path / "nowhere")
    cases = [
        (small_home, ["--teacher", "nobody"], 2, "there is no teacher nobody"),
        (small_home, ["--teacher", "logs"], 2, "writes replies and scores none"),
        (nowhere, ["--teacher", "self"], 2, "is no home"),
        (small_home, ["--teacher", "self", "--set", "colour=red"], 2, "there is no setting"),
    ]
    for home, arguments, code, words in cases:
        error = run(home, *arguments, code=code)
        assert words in error
        assert error.count("\n") == 1
    assert not nowhere.root.exists()


def test_two_runs_at_once_are_one_too_many(small_home: Home) -> None:
    with SignalStore(signals_dir(small_home) / "anchor").writing():
        assert "another run is scoring with this teacher" in run(small_home, "--teacher", "anchor", *SHORT, code=1)
