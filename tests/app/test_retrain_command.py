"""``molt retrain`` over a small child in the school's place: its lines, exit codes, JSON, and Ctrl+C."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memory.home import Home
from molting_agent import molt
from molting_agent.cli import main
from molting_agent.identity import create_home
from tests.app.test_molt import Children

ROOT = Path(__file__).parents[2]
# The command itself, with another child.
COMMAND = """
import json, sys
from molting_agent import molt
from molting_agent.cli import main
child = json.loads(sys.argv[1])
molt.child_command = lambda *_, **__: child
main(["--home", sys.argv[2], "retrain"], prog_name="molt")
"""


def retrain(home: Home, monkeypatch: pytest.MonkeyPatch, child: list[str], *arguments: str) -> Result:
    """Runs the command in this process."""
    create_home(home)
    monkeypatch.setattr(molt, "child_command", lambda *_, **__: child)
    return CliRunner().invoke(main, ["--home", str(home.root), "retrain", *arguments])


@pytest.mark.parametrize(
    ("state", "code", "stdout", "stderr"),
    [
        ("promoted", 0, "Molt 7 speaks now. the end\nSee: molt molts show 7\n", ""),
        ("rejected", 10, "Molt 7 was turned down and kept. the end\nSee: molt molts show 7\n", ""),
        ("failed", 11, "", "molt: the end\n"),
        ("cancelled", 12, "", "Stopped; go on with: molt retrain --resume\n"),
        ("failed", 1, "", "or go on with: molt retrain --resume\n"),
        ("failed", 2, "", "molt: the end\n"),
    ],
)
def test_how_it_ended_is_said_and_is_the_exit_code(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, state: str, code: int, stdout: str, stderr: str
) -> None:
    child = Children(home, tmp_path).command(steps=30, state=state, code=code)
    result = retrain(home, monkeypatch, child)
    assert result.exit_code == code
    assert result.stdout == stdout
    assert result.stderr.endswith(stderr)
    assert "training  " in result.stderr
    assert "\x1b" not in result.output


def test_json_is_one_value_on_stdout(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = retrain(home, monkeypatch, Children(home, tmp_path).command(), "--json")
    told: dict[str, Any] = json.loads(result.stdout)
    assert (told["exit_code"], told["state"], told["molt"], told["message"]) == (0, "promoted", 7, "the end")


def test_a_child_that_fails_before_it_reports_is_one_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    child = [sys.executable, "-c", "import sys; sys.exit('distill: --set x: write it as key=value')"]
    result = retrain(home, monkeypatch, child)
    assert result.exit_code == 1
    assert result.stderr.startswith("molt: the retraining failed: --set x: write it as key=value; see ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--resume", "--fresh"], "exclude each other"),
        (["--minutes", "0"], "--minutes"),
        (["--plan", "--set", "nonsense"], "--set nonsense: write it as key=value"),
        (["--set", "nonsense"], "--set nonsense: write it as key=value"),
        (["--plan", "--recipe", "nowhere"], "there is no recipe nowhere"),
    ],
)
def test_bad_use_is_one_line(home: Home, arguments: list[str], says: str) -> None:
    create_home(home)
    result = CliRunner().invoke(main, ["--home", str(home.root), "retrain", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("molt: ")


def test_ctrl_c_in_a_pipe_stops_it_with_a_checkpoint(home: Home, tmp_path: Path) -> None:
    create_home(home)
    children = Children(home, tmp_path)
    child = json.dumps(children.command(steps=2000))
    command = [sys.executable, "-c", COMMAND, child, str(home.root)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("training")
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 12
    assert said.endswith("Stopping at the next step…\nStopped; go on with: molt retrain --resume\n")


def test_a_terminal_gets_a_bar(home: Home, tmp_path: Path) -> None:
    create_home(home)
    child = json.dumps(Children(home, tmp_path).command(steps=40))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", COMMAND, child, str(home.root)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux says so when the other side has closed
                break
            if not piece:
                break
            shown += piece
        assert process.wait(60) == 0
    os.close(ours)
    text = shown.decode()
    assert "training" in text
    assert "━" in text
    assert "/100" in text
