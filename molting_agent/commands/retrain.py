"""``molt retrain``: starts a retraining or joins the one under way, shows how far it is, and says how it ended."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from memory.errors import TrainingError, UsageError
from molting_agent.commands.common import json_option, open_config, print_json, say, with_home

if TYPE_CHECKING:
    from distill.progress import Progress
    from memory.home import Home
    from molting_agent.molt import Retraining

LOOK_EVERY_S = 0.25
PLAIN_LINES = 20
"""A pipe gets about this many lines about the training itself, and one for each other state."""
CHILD_NAME = "distill: "
"""Begins what the child says of an error."""
RESUME_HINT = "go on with: molt retrain --resume"

Show = Callable[["Progress"], None]


@click.command(epilog="Example: molt retrain --minutes 20")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=None, help="Fit data and steps into this time.")
@click.option("--plan", is_flag=True, help="Say what would be trained on and how long it would take; train nothing.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of an interrupted retraining.")
@click.option("--fresh", is_flag=True, help="Forget an interrupted retraining and start anew.")
@click.option("--recipe", metavar="NAME|FILE", default="", help="Train by this recipe: its name, or a TOML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one training setting; repeatable.")
@json_option
@with_home
def retrain(
    home: "Home",
    *,
    minutes: float | None,
    plan: bool,
    resume: bool,
    fresh: bool,
    recipe: str,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a molt: learn from the conversations, judge the result, and let it speak if it is better.

    It runs in a process of its own and goes on when this one is left; an interrupted one is gone on with. Exit codes:
    0 promoted, 10 turned down by the gate, 11 too little to learn from, 12 stopped, 1 failed, 2 bad use.
    """
    from molting_agent.molt import Retraining

    if resume and fresh:
        raise UsageError("--resume and --fresh exclude each other")
    limit = minutes if minutes is not None else open_config(home).retrain.minutes or None
    if plan:
        click.get_current_context().exit(show_plan(home, limit, recipe, settings, as_json))
    running = Retraining.attach(home)
    if running:
        click.echo(f"A retraining is under way (process {running.pid}); watching it.", err=True)
    else:
        running = Retraining.start(home, minutes=limit, resume=resume, fresh=fresh, recipe=recipe, settings=settings)
    code = watch(running)
    tell_end(running, code, as_json)
    click.get_current_context().exit(code)


def show_plan(home: "Home", minutes: float | None, recipe: str, settings: tuple[str, ...], as_json: bool) -> int:
    """Print what would be done; the exit code: 0, or 11 when there is too little. Errors: TrainingError, UsageError."""
    from distill.progress import EXIT_PROMOTED, EXIT_TOO_LITTLE
    from molting_agent.molt import child_command

    command = child_command(home, minutes=minutes, plan=True, as_json=as_json, recipe=recipe, settings=settings)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode not in (EXIT_PROMOTED, EXIT_TOO_LITTLE):
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        error = UsageError if done.returncode == UsageError.exit_code else TrainingError
        raise error(said[-1].removeprefix(CHILD_NAME))
    say(done.stdout.rstrip("\n"))
    return done.returncode


def watch(running: "Retraining") -> int:
    """Show progress until the child ends; its exit code. Ctrl+C asks on a terminal, and stops it in a pipe."""
    while True:
        with progress_shown() as show:
            try:
                while (code := running.wait(LOOK_EVERY_S)) is None:
                    if progress := running.progress():
                        show(progress)
                return code
            except KeyboardInterrupt:
                pass
        choice = "s"
        if sys.stdin.isatty() and sys.stderr.isatty():
            question = "Stop it with a checkpoint (s), leave it running in the background (b), or go on watching (w)?"
            choice = click.prompt(question, type=click.Choice(["s", "b", "w"]), default="s", err=True)
        if choice == "b":
            click.echo("It goes on; watch it again with: molt retrain", err=True)
            click.get_current_context().exit(0)
        if choice == "s":
            click.echo("Stopping at the next step…", err=True)
            running.cancel()


def tell_end(running: "Retraining", code: int, as_json: bool) -> None:
    """Say how it ended; failures on stderr."""
    from distill.progress import EXIT_CANCELLED, EXIT_PROMOTED, EXIT_REJECTED, EXIT_TOO_LITTLE

    progress = running.progress()
    message = (progress.message if progress else "") or running.last_words().removeprefix(CHILD_NAME)
    number = progress.molt if progress else 0
    if as_json:
        print_json({"exit_code": code, "message": message, **(asdict(progress) if progress else {})})
        return
    ends = {
        EXIT_PROMOTED: f"Molt {number} speaks now. {message}\nSee: molt molts show {number}",
        EXIT_REJECTED: f"Molt {number} was turned down and kept. {message}\nSee: molt molts show {number}",
        EXIT_TOO_LITTLE: f"molt: {message}",
        UsageError.exit_code: f"molt: {message}",
        EXIT_CANCELLED: f"Stopped; {RESUME_HINT}",
    }
    failed = f"molt: the retraining failed: {message or f'exit code {code}'}"
    if "molt retrain" not in message:  # it does not say itself what to do
        failed += f"; see {running.log_file(running.home)}, or {RESUME_HINT}"
    say(ends.get(code, failed), err=code not in (EXIT_PROMOTED, EXIT_REJECTED))


@contextmanager
def progress_shown() -> Iterator[Show]:
    """A live line on a terminal, a plain line now and then in a pipe; both on stderr."""
    if not sys.stderr.isatty():
        yield plain_lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"))
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None, facts="")

        def show(progress: "Progress") -> None:
            bar.update(
                task,
                description=progress.state,
                completed=progress.step,
                total=progress.steps or None,
                facts=facts_of(progress),
            )

        yield show


def plain_lines() -> Show:
    """Prints a state when it begins, and within the training every twentieth of the steps."""
    last: tuple[str, int] = ("", -1)

    def show(progress: "Progress") -> None:
        nonlocal last
        part = progress.step * PLAIN_LINES // progress.steps if progress.steps else 0
        if (progress.state, part) != last:
            last = (progress.state, part)
            say(f"{progress.state}  {facts_of(progress)}".rstrip(), err=True)

    return show


def facts_of(progress: "Progress") -> str:
    """Step, loss, speed and time left of a training; the message of any other state."""
    if not progress.steps or progress.state != "training":
        return progress.message
    left_s = round(progress.eta_s)
    left = f"{left_s // 60}:{left_s % 60:02d}"
    speed = f"{progress.tokens_per_s:,.0f} tokens/s"
    return f"{progress.step}/{progress.steps}  loss {progress.loss:.3f}  {speed}  {left} left"
