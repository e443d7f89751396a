"""Copying: the system's clipboard where there is one, else the terminal's (OSC 52), else a file."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from memory.files import write_atomic

OSC52_LIMIT_BYTES = 74_000
"""Terminals drop longer sequences, xterm from about 75 kB on; what is longer goes into a file."""
COMMANDS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard", "-in")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
)


def system_command(environment: Mapping[str, str], platform: str) -> Sequence[str]:
    """The program that reaches the person's clipboard; () when none does, as over SSH."""
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return ()
    wanted = [("", ("pbcopy",))] if platform == "darwin" else list(COMMANDS)
    for variable, command in wanted:
        if (not variable or environment.get(variable)) and shutil.which(command[0], path=environment.get("PATH")):
            return command
    return ()


def copy_to_system(text: str) -> bool:
    """Give ``text`` to the system's clipboard, if there is one within reach; may take two seconds, for a thread."""
    command = system_command(os.environ, os.uname().sysname.casefold())
    if not command:
        return False
    try:
        done = subprocess.run(
            command,
            input=text.encode(),
            timeout=2,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def copied(app: App[Any], text: str, file: Path, *, by_system: bool) -> str:
    """Copy by the terminal, or into ``file``, what the system did not take; gives one line that says where it went."""
    what = f"{len(text):,} characters"
    if by_system:
        app._clipboard = text  # pasting inside the app gives the same
        return f"Copied {what}."
    if len(text.encode()) <= OSC52_LIMIT_BYTES:
        app.copy_to_clipboard(text)
        return f"Copied {what} through the terminal."
    write_atomic(file, text)
    return f"Too long for the terminal's clipboard: {what} are in {file}"
