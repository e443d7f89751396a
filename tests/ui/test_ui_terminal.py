"""Whatever way the app is left, the terminal is as it was: run on a PTY of its own and compared."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from fake_agent import FakeAgent, training_kind
from memory.home import Home
from molting_agent.ui.app import MoltingApp
home = Home(Path({home!r}))
home.make_folders()
app = MoltingApp(home, make_agent=lambda: FakeAgent(paced={paced}), retraining=training_kind())
if {crash}:
    app.tick = lambda: 1 / 0
    app.call_later(lambda: app.set_timer(0.3, app.tick))
print("left with", app.run())
"""
RESETS = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l")


def read_until(file: int, wanted: bytes, timeout_s: float = 30.0) -> bytes:
    """Everything that came, up to and with ``wanted``; fails when it never comes."""
    seen, end = b"", time.monotonic() + timeout_s
    while wanted not in seen:
        assert time.monotonic() < end, f"{wanted!r} never came: {seen[-400:]!r}"
        if select.select([file], [], [], 0.2)[0]:
            try:
                seen += os.read(file, 65536)
            except OSError:  # the other side is closed
                break
    return seen


@pytest.mark.parametrize("way", ["ctrl+q", "ctrl+c twice", "in mid-reply", "SIGTERM", "an exception"])
def test_the_terminal_is_clean_afterwards(way: str, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    before = termios.tcgetattr(slave)
    code = PROGRAM.format(
        tests=str(Path(__file__).parent),
        home=str(tmp_path / "home"),
        paced=way == "in mid-reply",
        crash=way == "an exception",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    try:
        output = b"" if way == "an exception" else read_until(master, b"SmolLM2")
        if way == "ctrl+q":
            os.write(master, b"\x11")
        elif way == "ctrl+c twice":
            os.write(master, b"\x03")
            output += read_until(master, b"once more")
            os.write(master, b"\x03")
        elif way == "in mid-reply":
            os.write(master, b"hello\r")
            output += read_until(master, b"reading")
            os.write(master, b"\x11")
        elif way == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        output += read_until(master, b"left with" if way != "an exception" else b"ZeroDivisionError")
        process.wait(timeout=30)
        for reset in RESETS:
            assert reset in output, reset
        assert output.rfind(b"\x1b[?1049l") > output.rfind(b"\x1b[?1049h")
        after = termios.tcgetattr(slave)
        assert after[:4] == before[:4]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
        os.close(slave)
