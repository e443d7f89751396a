"""``molt memory``: single memories added, listed, taken back and forgotten."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from memory.errors import UsageError
from molting_agent.commands.common import (
    MoltGroup,
    home_option,
    json_option,
    print_json,
    print_table,
    say,
    shorten,
    with_home,
)

if TYPE_CHECKING:
    from memory.api import Memory
    from memory.home import Home
    from memory.selection import Selection
    from memory.values import Receipt


@contextmanager
def opened(home: "Home") -> Iterator["Memory"]:
    """The home's memory for the time of one command."""
    from memory.api import Memory

    memory = Memory(home)
    try:
        yield memory
    finally:
        memory.close()


@click.group(cls=MoltGroup, name="memory", epilog='Example: molt memory add "The router is in the hall."')
@home_option
def memory_group() -> None:
    """Add, list, review, take back and forget memories, and see where one came from."""


@memory_group.command(epilog='Example: molt memory add "Trash is taken on Tuesdays."')
@click.argument("text", nargs=-1, required=True)
@json_option
@with_home
def add(home: "Home", text: tuple[str, ...], as_json: bool) -> None:
    """Write TEXT into MEMORY.md and say where."""
    with opened(home) as memory:
        receipt = memory.add(" ".join(text))
        memory.fill_vectors()
    print_receipts([receipt], as_json)


@memory_group.command(epilog="Example: molt memory ls --limit 20")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most this many.")
@json_option
@with_home
def ls(home: "Home", limit: int, as_json: bool) -> None:
    """List memories with their ids and places, own entries first."""
    with opened(home) as memory:
        memory.sync()
        found = memory.list(limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table([(one.id, one.citation, shorten(one.text)) for one in found])


@memory_group.command(epilog="Example: molt memory undo")
@click.argument("memory_id", metavar="[ID]", default="")
@json_option
@with_home
def undo(home: "Home", memory_id: str, as_json: bool) -> None:
    """Take back the last memory that was written, or the one of this ID.

    MEMORY.md is then what it was before, byte for byte; where it was changed since, the entry alone leaves it. What was
    forgotten cannot come back: its words are kept nowhere.
    """
    with opened(home) as memory:
        print_receipts([memory.undo(memory_id)], as_json)


@memory_group.command(epilog='Example: molt memory forget --query "spare key"')
@click.argument("ids", nargs=-1)
@click.option("--query", metavar="WORDS", default="", help="All in which these words are said.")
@click.option("--source", metavar="PATH|ID", default="", help="All that came from a file, folder or conversation.")
@click.option("--since", metavar="DAY", default="", help="From this day on: 2026-02-14, or 7d for seven days ago.")
@click.option("--until", metavar="DAY", default="", help="Up to this day, itself included.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be forgotten, and stop.")
@json_option
@with_home
def forget(
    home: "Home",
    *,
    ids: tuple[str, ...],
    query: str,
    source: str,
    since: str,
    until: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Forget memories by their IDS, or all that fit every option given: shown first, then asked about.

    They leave MEMORY.md, notes, identity files, transcripts, every index, datasets, answers of teachers and their
    signals, and all stays gone when a file is read again. Files of others are not touched. Molts that learnt from them
    are named: nothing can be taken out of weights but by a new molt.
    """
    from memory.selection import Selection
    from molting_agent.forgetting import forget as forget_everywhere

    conditions = {"query": query, "source": source, "since": since, "until": until}
    is_search = any(conditions.values())
    if bool(ids) == is_search:
        raise UsageError("give either ids or --query, --source, --since, --until; ids are in: molt memory ls")
    with opened(home) as memory:
        if is_search:
            memory.sync()
            selection = memory.select(**conditions)
            if not selection:
                raise UsageError("nothing in the memory fits; see what there is: molt memory ls")
        else:
            selection = Selection(memory.get(ids))
            missing = [one for one in ids if one not in selection.ids]
            if missing:
                raise UsageError(f"no memory of this id: {', '.join(missing)}; see: molt memory ls")
        if dry_run or (is_search and not yes):
            _preview(selection, as_json=as_json and dry_run)
            if dry_run:
                return
            _confirm(selection)
        farewell = forget_everywhere(home, memory, selection.ids, selection.messages)
    print_receipts(farewell.receipts, as_json)


def _preview(selection: "Selection", *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in selection.memories])
        return
    for one in selection.memories:
        say(f"{one.id}  {one.citation}  {shorten(one.text)}", err=True)
    if selection.unlisted:
        say(f"and {selection.unlisted} more messages of these conversations that are no memories", err=True)


def _confirm(selection: "Selection") -> None:
    count = len(selection.memories)
    what = f"{count} {'memory' if count == 1 else 'memories'}"
    if not sys.stdin.isatty():
        raise UsageError(f"{what} would be forgotten; to do it without being asked, add --yes")
    if not click.confirm(f"Forget {what}, everywhere in this home? This cannot be undone", err=True):
        raise UsageError("nothing was forgotten")


def print_receipts(receipts: list["Receipt"], as_json: bool) -> None:
    """What was done, in the runtime's words."""
    if as_json:
        print_json([asdict(receipt) for receipt in receipts])
        return
    for receipt in receipts:
        place = f"{receipt.path}:{receipt.line}" if receipt.line else receipt.path
        named = f"[{receipt.id}]  " if receipt.id else ""
        say(f"{receipt.action}  {place}  {named}{shorten(receipt.text)}")
