"""``molt demo``: a home to look around in, with a sample person's memories and conversations; gone afterwards."""

import os
import shutil
import sys
import tempfile
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memory.errors import UsageError
from molting_agent.commands.common import say

if TYPE_CHECKING:
    from memory.home import Home


@click.command(epilog="Example: molt demo --keep ~/claudio-demo")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Make it there, and leave it there.")
@click.pass_context
def demo(context: click.Context, keep: Path | None) -> None:
    """Open the app on a throw-away home with Cláudio's sample memories and conversations."""
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep}: there is something already; give another folder")
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if keep is None and not is_terminal:
        raise UsageError("the app needs a terminal; --keep DIR makes a home for other commands")
    from memory.home import Home

    root = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="molting-demo-"))
    try:
        home = Home(root)
        conversations, memories = furnish(home)
        say(f"{root}: {conversations} conversations, {memories} memories", err=True)
        if is_terminal:
            context.exit(context.obj(home))
    finally:
        if keep is None:
            shutil.rmtree(root, ignore_errors=True)


def furnish(home: "Home") -> tuple[int, int]:
    """Fill a new home with the samples; gives how many conversations and memories are in it then."""
    from memory.api import Memory
    from molting_agent.first_run import met
    from molting_agent.identity import create_home

    create_home(home)
    sample = resources.files("identity").joinpath("sample")
    (home.identity_dir / "USER.md").write_bytes(sample.joinpath("USER.md").read_bytes())
    home.memory_file.write_bytes(sample.joinpath("MEMORY.md").read_bytes())
    met(home)
    with resources.as_file(sample.joinpath("conversations")) as folder:
        for path in sorted(folder.glob("*.jsonl")):
            _move_in(path, home)
    memory = Memory(home)
    try:
        memory.sync()
        stats = memory.stats()
        return stats["conversations"], stats["memories"]
    finally:
        memory.close()


def _move_in(path: Path, home: "Home") -> None:
    """Put a sample conversation among the home's own, named and dated as one: it can be searched and gone on with."""
    from memory.transcripts.read import read_transcript

    transcript = read_transcript(path)
    started, last = transcript.started_at, transcript.turns[-1].timestamp
    target = home.sessions_dir / f"{started[:19].replace(':', '-')}_{transcript.id[:8]}.jsonl"
    shutil.copyfile(path, target)
    when = datetime.fromisoformat(last or started).timestamp()
    os.utime(target, (when, when))
