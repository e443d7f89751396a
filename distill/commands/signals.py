"""``python -m distill signals``: has a teacher score the replies of a home once; what is interrupted goes on."""

import json
import os
import signal
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from distill.commands.progress_line import ProgressLine
from distill.config import load_config
from distill.progress import EXIT_CANCELLED, EXIT_FAILED, EXIT_PROMOTED
from memory.errors import MoltingError, UsageError
from memory.home import Home


@click.command(epilog="Example: python -m distill signals --home ~/claudio --teacher self")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option("--teacher", "name", required=True, help="self, anchor, or a name of [teachers] that scores.")
@click.option("--recipe", default="", help="A name of distill/recipes/, or a TOML file: which replies are learnt.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable.")
@click.option("--model", default="", help="The student's base, by name or path; else the embedded one.")
@click.option("--dry-run", is_flag=True, help="Score nothing; say what would be scored.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def signals(
    *, home_dir: Path, name: str, recipe: str, settings: tuple[str, ...], model: str, dry_run: bool, as_json: bool
) -> None:
    """Store what a teacher says of every reply on the training side, in HOME/signals/NAME.

    Run it again and only what is new is scored; a retraining with this teacher reads the same store. Nothing private is
    learnt from, so nothing private is scored.

    Exit codes: 0 done, 1 the teacher failed, 2 wrong usage, 12 stopped (run it again).
    """
    stop = threading.Event()
    try:
        config = load_config(recipe, settings)
        home = Home(home_dir)
        if not home.identity_dir.is_dir():
            raise UsageError(f"{home.root} is no home; make one first: molt --home {home.root}")
        from distill.signals.session import score_home

        line = ProgressLine()
        if not dry_run:
            _stop_on_signals(stop)
        # Libraries print what they like; only the result goes to stdout.
        with redirect_stdout(sys.stderr):
            found = score_home(home, name, config, model_name=model, dry_run=dry_run, stop=stop, on_progress=line.show)
        line.clear()
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        place = error.filename or home_dir
        click.echo(f"distill: {place}: {error.strerror}; mend it, then run the same command again", err=True)
        sys.exit(EXIT_FAILED)
    click.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else _text(found))
    sys.exit(EXIT_CANCELLED if found["stopped"] else EXIT_PROMOTED)


def _stop_on_signals(stop: threading.Event) -> None:
    """The first Ctrl+C ends after the dialogue under way, the second at once: all that was scored is on disk."""

    def heed(_number: int, _frame: Any) -> None:
        if stop.is_set():
            os._exit(EXIT_CANCELLED)
        stop.set()
        click.echo("\nstopping after the dialogue under way; Ctrl+C again leaves at once", err=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heed)


def _text(found: dict[str, Any]) -> str:
    """The result for a person; what is zero is not said."""
    lines = [f"{found['teacher']} ({found['model']})", f"  replies     {found['replies']:,} ({found['known']:,} known)"]
    if found["dry_run"]:
        lines.append(f"  to score    {found['left']:,}")
    else:
        lines.append(f"  new         {found['new']:,} ({found['new_tokens']:,} tokens)")
    lines += [f"  left out {count:,}: {reason}" for reason, count in found["left_out"].items()]
    if not found["same_vocabulary"]:
        lines.append("  vocabulary  another than the student's: likelihood alone (recipe cross)")
    elif not found["temperatures"]:
        lines.append("  temperature 1 alone: this teacher gives no log-partitions")
    if found["stored_tokens"]:
        each = found["bytes_a_token"]
        lines.append(f"  store       {found['stored_tokens']:,} tokens, {each:.0f} bytes a token, in {found['store']}")
    if found["torn_bytes"]:
        lines.append(f"  torn        {found['torn_bytes']:,} bytes set aside after a crash")
    if found["calibration_text"]:
        lines.append(f"  calibration {found['calibration_text']}")
    if found["stopped"]:
        lines.append(f"  stopped     {found['left']:,} replies left; the same command goes on")
    return "\n".join(lines)
