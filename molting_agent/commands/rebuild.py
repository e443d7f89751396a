"""``molt memory rebuild``: the memory made anew from its files, with a word on what could not be."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import json_option, print_json, say, with_home
from molting_agent.commands.ingest import print_report, progress_bar

if TYPE_CHECKING:
    from memory.home import Home
    from memory.rebuild import RebuildReport

LOST_SHOWN = 20


@click.command(epilog="Example: molt memory rebuild")
@json_option
@with_home
def rebuild(home: "Home", as_json: bool) -> None:
    """Read all files of the memory anew; a damaged memory.db is put aside first.

    Conversations whose files are gone are taken over from the old database where it still gives them. Close the app
    before. Vectors of unchanged texts are kept unless the database was damaged.
    """
    from memory.api import Memory
    from memory.rebuild import rebuild as make_anew

    with progress_bar() as progress:
        done = make_anew(home, progress)
        memory = Memory(home)
        try:
            memory.fill_vectors(progress)
            index = memory.check_index()
        finally:
            memory.close()
    embedded = progress.done("embedding")
    if as_json:
        print_json({**asdict(done), "embedded": embedded, "index": asdict(index)})
        return
    print_report(done.report, embedded, {})
    for line in _lines(done):
        say(line)
    if not index.is_in_step:
        say(f"{index.where}: not in step yet; the open app brings it there, or: molt doctor")


def _lines(done: "RebuildReport") -> list[str]:
    lines = []
    if done.damage:
        lines.append(f"memory.db was damaged ({done.damage}); it lies in {done.put_aside} now: delete it when you miss")
        lines[-1] += " nothing, for it still holds what you may forget later"
    if done.kept and done.damage:
        lines.append(f"{done.kept:,} conversations whose files are gone were taken over from it")
    elif done.kept:
        lines.append(f"{done.kept:,} files are gone; what came from them is kept")
    if not done.forgets:
        lines.append("what had been forgotten is not known any more: forget it again where a file still holds it")
    if not done.knows_files:
        lines.append("which files from elsewhere had been read is not known any more: give them to molt ingest again")
    lines += [f"{path}: gone, and nothing of it could be kept" for path in done.lost[:LOST_SHOWN]]
    if len(done.lost) > LOST_SHOWN:
        lines.append(f"and {len(done.lost) - LOST_SHOWN:,} more")
    return lines
