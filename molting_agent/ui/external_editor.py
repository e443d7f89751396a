"""A text in the person's own editor ($VISUAL, else $EDITOR), while the app steps aside."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from molting_agent.clean import clean


def editor_command() -> list[str]:
    """The command of the person's editor; [] when none is set."""
    try:
        return shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    except ValueError:
        return []


def edit_outside(app: App[Any], text: str, *, suffix: str = ".md") -> tuple[str, str]:
    """(the text afterwards, why it could not be edited); the file is private and gone afterwards."""
    command = editor_command()
    if not command:
        return text, "$EDITOR is not set: export EDITOR=nano, for example"
    handle, name = tempfile.mkstemp(prefix="molting-", suffix=suffix)
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        with app.suspend():
            done = subprocess.run([*command, name], check=False)
        if done.returncode:
            return text, f"{command[0]} ended with {done.returncode}; nothing was taken over"
        return clean(path.read_text(encoding="utf-8", errors="replace")), ""
    except SuspendNotSupported:
        return text, "the app cannot step aside on this terminal"
    except OSError as error:
        return text, f"{command[0]} could not be started ({error.strerror}); see $EDITOR"
    finally:
        path.unlink(missing_ok=True)
