"""What all commands share: the home, one-line errors, exit codes, tables, and JSON that is safe on a terminal."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from memory.errors import MoltingError

if TYPE_CHECKING:
    from memory.home import Home
    from molting_agent.config import Config

HOME_KEY = "molting.home"
EXIT_BROKEN_PIPE = 141
EXIT_INTERRUPTED = 130

Function = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value, for scripts.")


def home_option(function: Function) -> Function:
    """Give a command ``--home``; the innermost one that is given counts."""

    def keep(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value:
            context.meta[HOME_KEY] = value

    return click.option(
        "--home",
        metavar="DIR",
        expose_value=False,
        callback=keep,
        help="The agent's home; else $MOLTING_HOME, else the system's data folder.",
    )(function)


def with_home(function: Function) -> Function:
    """Give a command ``--home`` and hand it the home (made, if it is new) as its first argument."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        return function(open_home(), *arguments, **options)

    return home_option(run)


def open_home() -> "Home":
    """The home this command works in. Errors: HomeError."""
    from molting_agent.identity import create_home
    from molting_agent.paths import find_home

    home = find_home(click.get_current_context().meta.get(HOME_KEY))
    create_home(home)
    return home


def open_config(home: "Home", model: str = "") -> "Config":
    """The home's settings, with another model when one is named. Errors: HomeError."""
    from molting_agent.config import load_config

    config = load_config(home)
    if not model:
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"name": model})})


class MoltGroup(click.Group):
    """A group that knows ``list`` as ``ls`` and ends every failure in one line on stderr and an exit code."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, "ls" if cmd_name == "list" else cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # here, before click makes an exit code 1 of it
            leave_unread()

    def main(self, *arguments: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        run: Function = functools.partial(super().main, *arguments, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        try:
            result = run()
            sys.stdout.flush()
        except MoltingError as error:
            fail(str(error), error.exit_code)
        except click.ClickException as error:
            hint = (
                f" (see: {error.ctx.command_path} --help)" if isinstance(error, click.UsageError) and error.ctx else ""
            )
            fail(error.format_message().rstrip(".") + hint, error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            fail("interrupted", EXIT_INTERRUPTED)
        except BrokenPipeError:
            leave_unread()
        except OSError as error:
            fail(f"{error.filename or 'system'}: {error.strerror or error}", 1)
        sys.exit(result if isinstance(result, int) else 0)


def leave_unread() -> NoReturn:
    """Whoever read our output has gone: end quietly, and the interpreter's last flush must not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(EXIT_BROKEN_PIPE)


def fail(message: str, code: int) -> None:
    """One line on stderr, then the end."""
    from molting_agent.clean import clean_line

    click.echo(f"molt: {clean_line(message)}", err=True)
    sys.exit(code)


def say(text: str, *, err: bool = False) -> None:
    """Print text that others wrote: cleaned of all that a terminal would obey."""
    from molting_agent.clean import clean

    click.echo(clean(text), err=err)


def print_json(value: Any) -> None:
    """Print one JSON value; what a terminal might obey is written as an escape."""
    from molting_agent.clean import UNSAFE

    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    click.echo(UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text))


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns as wide as their widest cell; the last column may be of any width."""
    cleaned = [[_cell(cell) for cell in row] for row in rows]
    if not cleaned:
        return
    widths = [max(len(row[column]) for row in cleaned) for column in range(len(cleaned[0]) - 1)]
    for row in cleaned:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def _cell(text: str) -> str:
    from molting_agent.clean import clean_line

    return clean_line(text)


def shorten(text: str, limit_chars: int = 100) -> str:
    """The beginning of a text as one clean line."""
    line = _cell(text)
    return line if len(line) <= limit_chars else line[: limit_chars - 1].rstrip() + "…"


def megabytes(count_bytes: int) -> str:
    """A size for people."""
    return f"{count_bytes / 1e6:,.0f} MB"
