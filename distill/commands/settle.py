"""``python -m distill settle``: merges the champion's adapter into a file of its own, and says what came of it."""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

import click

from memory.errors import MoltingError, UsageError
from memory.files import file_lock
from memory.home import Home


@click.command(epilog="Example: python -m distill settle --home ~/claudio")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option("--model", default="", help="The base, by name or path; else the embedded one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
def settle(*, home_dir: Path, model: str, as_json: bool) -> None:
    """Merge the molt that speaks into one file that decodes as fast as the base, if it is judged as good.

    The app does this by itself when it is idle. The adapter stays; only the champion has a merged file.
    """
    from distill.export.settle import settle as merge
    from distill.export.source import find_source

    try:
        home = Home(home_dir)
        if not home.molts_dir.is_dir():
            raise UsageError(f"{home.root} is no home; make one first: molt --home {home.root}")
        with file_lock(home.molts_dir / ".settle.lock", blocking=False) as free, redirect_stdout(sys.stderr):
            if not free:
                raise UsageError("the molt of this home is being merged already; wait for it")
            done = merge(find_source(home, None, model), lambda _what, _share: None)
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"distill: {error.filename or home_dir}: {error.strerror}; the adapter goes on", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(asdict(done), ensure_ascii=False, indent=1))
    else:
        click.echo(f"Molt {done.molt} {'has settled' if done.settled else 'is not merged'}: {done.reason}.")
