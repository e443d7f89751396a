"""Runs a command of the school (``python -m distill``) in a process of its own, and says its errors as molt's own."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

import click

from memory.errors import HomeError, MoltingError, UsageError
from molting_agent.commands.common import say

CHILD_NAME = "distill: "
"""Begins what the child says of an error."""
PROGRESS_PREFIX = "progress "
CLEAR_LINE = "\r\x1b[K"


def run_school(*arguments: str, show_log: bool = False) -> str:
    """What ``python -m distill`` with these arguments prints; its lines of progress are shown in place.

    ``show_log`` passes on what else it says on the way. Ctrl+C reaches the child too, which ends as it likes.
    Errors: the child's, with its exit code; KeyboardInterrupt where it was interrupted and had nothing to say.
    """
    shows_progress = sys.stderr.isatty()
    command = [sys.executable, "-P", "-m", "distill", *arguments]
    interrupted: list[bool] = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None  # noqa: S101 - they were opened as pipes
        assert process.stdout is not None  # noqa: S101
        printed: list[bytes] = []
        # Beside what it says: a full pipe would make it wait for us while we wait for it.
        reader = threading.Thread(target=lambda stdout=process.stdout: printed.append(stdout.read()), daemon=True)
        reader.start()
        said: list[str] = []
        failed = ""
        for line in _lines(process.stderr, interrupted):
            if line.startswith(PROGRESS_PREFIX):
                if shows_progress:
                    click.echo(CLEAR_LINE + line.removeprefix(PROGRESS_PREFIX), nl=False, err=True)
            elif line.startswith(CHILD_NAME):
                failed = line.removeprefix(CHILD_NAME)
            elif show_log:
                say(line, err=True)
            else:
                said.append(line)
        reader.join()
    if shows_progress:
        click.echo(CLEAR_LINE, nl=False, err=True)
    if process.returncode and interrupted and not failed:
        raise KeyboardInterrupt
    if process.returncode:
        raise _error(process.returncode, arguments[0], failed, said)
    return b"".join(printed).decode(errors="replace").rstrip("\n")


def _lines(stream: IO[bytes], interrupted: list[bool]) -> Iterator[str]:
    """Lines with words in them until the child has closed the stream, whatever Ctrl+C says to us.

    Of a line that libraries draw again and again (a bar) only what it ended as.
    """
    while True:
        try:
            line = stream.readline()
        except KeyboardInterrupt:
            interrupted.append(True)
            continue
        if not line:
            return
        if text := line.decode(errors="replace").rstrip().rpartition("\r")[2].rstrip():
            yield text


def _error(code: int, what: str, failed: str, said: list[str]) -> MoltingError:
    message = failed or (
        f"{what} failed ({f'signal {-code}' if code < 0 else f'exit code {code}'}"
        f"{': ' + said[-1] if said else ''}); is there enough memory?"
    )
    error = (UsageError if code == UsageError.exit_code else HomeError)(message)
    error.exit_code = code if code > 0 else 1
    return error
