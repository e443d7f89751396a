"""``molt recall`` and ``molt memory``: what comes out of the memory, and single memories added and forgotten."""

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
    open_config,
    print_json,
    print_table,
    say,
    shorten,
    with_home,
)

if TYPE_CHECKING:
    from memory.api import Memory
    from memory.home import Home
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


@click.command(epilog='Example: molt recall "when do the backups run"')
@click.argument("query", nargs=-1, required=True)
@click.option("-k", "k", type=click.IntRange(1, 50), default=None, help="At most this many; else as in config.toml.")
@click.option("--explain", is_flag=True, help="Show what each score is made of.")
@json_option
@with_home
def recall(home: "Home", query: tuple[str, ...], k: int | None, explain: bool, as_json: bool) -> None:
    """Show what would be remembered for QUERY, best first, each with its place."""
    settings = open_config(home).memory
    with opened(home) as memory:
        memory.sync()
        wanted = k or settings.k or 5
        # Here a person looks, so that the number asked for counts and not the budget of a prompt.
        found = memory.recall(" ".join(query), k=wanted, budget_tokens=max(settings.budget_tokens, 200 * wanted))
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        click.echo("Nothing fits.", err=True)
    for one in [] if as_json else found:
        click.echo(f"{one.score:.2f}  ", nl=False)
        say(f"{one.citation}  [{one.id}]")
        say(f"      {shorten(one.text, 400)}")
        if explain:
            parts = "  ".join(f"{name} {value:.3f}" for name, value in one.parts.items())
            say(f"      {parts}  trust {one.trust}  label {one.label}  from {one.source}")


@click.group(cls=MoltGroup, name="memory", epilog='Example: molt memory add "The router is in the hall."')
@home_option
def memory_group() -> None:
    """Add, list and forget single memories."""


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


@memory_group.command(epilog="Example: molt memory forget 3f2a9c1b")
@click.argument("ids", nargs=-1, required=True)
@json_option
@with_home
def forget(home: "Home", ids: tuple[str, ...], as_json: bool) -> None:
    """Remove memories by their IDS: from their files, transcripts and every index of this home."""
    from distill.forget import forget_receipts

    with opened(home) as memory:
        receipts = memory.forget(ids)
    forget_receipts(home, receipts)
    missing = sorted(set(ids) - {receipt.id for receipt in receipts})
    print_receipts(receipts, as_json)
    if missing:
        raise UsageError(f"no memory of this id: {', '.join(missing)}; see: molt memory ls")


def print_receipts(receipts: list["Receipt"], as_json: bool) -> None:
    """What was done, in the runtime's words."""
    if as_json:
        print_json([asdict(receipt) for receipt in receipts])
        return
    for receipt in receipts:
        place = f"{receipt.path}:{receipt.line}" if receipt.line else receipt.path
        say(f"{receipt.action}  {place}  [{receipt.id}]  {shorten(receipt.text)}")
