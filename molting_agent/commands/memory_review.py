"""``molt memory review`` and ``molt memory why``: what may be worth keeping, and where a memory came from."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from memory.errors import UsageError
from molting_agent.commands.common import json_option, print_json, say, shorten, with_home
from molting_agent.commands.memory import memory_group, opened, print_receipts

if TYPE_CHECKING:
    from memory.api import Memory
    from memory.consolidate import Candidate
    from memory.home import Home
    from memory.why import Why

KEYS = "y keep   n never propose it again   e keep it in other words   s not now   q leave"


@memory_group.command(epilog="Example: molt memory review --since 7d")
@click.option("--since", metavar="DAY", default="14d", show_default=True, help="Said from this day on; 7d, or a date.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most this many.")
@click.option("--accept", "accepted", metavar="ID", multiple=True, help="Keep this candidate; repeatable.")
@click.option("--reject", "rejected", metavar="ID", multiple=True, help="Never propose this one again; repeatable.")
@json_option
@with_home
def review(
    home: "Home", *, since: str, limit: int, accepted: tuple[str, ...], rejected: tuple[str, ...], as_json: bool
) -> None:
    """Look through what you said lately that may be worth keeping: one key each.

    Candidates are sentences of your own, word for word, with their place. Nothing that was pasted, quoted, said by a
    tool or labelled is among them, nothing that is remembered already, and nothing you turned down before. What you
    keep is written into MEMORY.md; molt memory undo takes it back.
    """
    from memory.selection import parse_day

    first_day = parse_day(since, "since")
    with opened(home) as memory:
        memory.sync()
        if accepted or rejected:
            receipts = [memory.accept(one) for one in accepted]
            turned_down = [memory.reject(one) for one in rejected]
            print_receipts(receipts, as_json)
            for one in [] if as_json else turned_down:
                say(f"rejected  {one.citation}  [{one.id}]")
            return
        found = memory.candidates(since=first_day, limit=limit)
        if as_json:
            print_json([asdict(one) for one in found])
        elif not found:
            click.echo(f"Nothing new to review since {first_day}; look further back: --since 90d", err=True)
        else:
            _ask_each(memory, found)


def _ask_each(memory: "Memory", found: "list[Candidate]") -> None:
    import sys

    if not sys.stdin.isatty():
        raise UsageError("review asks for keys at a terminal; in a script: --json, then --accept ID or --reject ID")
    click.echo(KEYS)
    for number, one in enumerate(found, 1):
        say(f"\n{number}/{len(found)}  {one.text}")
        context = "" if one.around == one.said else f"   in: {shorten(one.around, 200)}"
        say(f"      {one.citation}{context}")
        key = ""
        while key not in tuple("ynesq"):
            click.echo("      y/n/e/s/q ", nl=False)
            key = click.getchar().lower()
            click.echo(key if key.isprintable() else "")
            if key in ("\x03", "\x04", "\x1b"):
                key = "q"
        if key == "q":
            return
        if key == "n":
            memory.reject(one.id)
        elif key in ("y", "e"):
            text = click.prompt("      in these words", default=one.text) if key == "e" else ""
            print_receipts([memory.accept(one.id, text)], as_json=False)


@memory_group.command(epilog="Example: molt memory why 3f2a9c1b07d4")
@click.argument("memory_id", metavar="ID")
@json_option
@with_home
def why(home: "Home", memory_id: str, as_json: bool) -> None:
    """Show where the memory ID came from, the words around it, when it was shown, and which molts learnt from it."""
    from distill.carriers import carriers

    with opened(home) as memory:
        memory.sync()
        found = memory.why(memory_id)
    conversations = {one.conversation for one in found.shown} | ({found.memory.conversation} - {""})
    molts = carriers(home, conversations)
    if as_json:
        print_json({**asdict(found), "molts": [asdict(molt) for molt in molts]})
        return
    _print_why(found)
    for molt in molts:
        speaks = ", speaks now" if molt.speaks else ""
        replies = "1 reply" if molt.replies == 1 else f"{molt.replies} replies"
        which = f"molt {molt.number} ({molt.created_at[:10]}, {molt.verdict}{speaks})"
        say(f"learnt   {which}: {replies} of a conversation with it")
    if not molts:
        say("learnt   by no molt")


def _print_why(found: "Why") -> None:
    memory = found.memory
    say(f"memory   {shorten(memory.text, 300)}")
    when = f", said {memory.timestamp[:16].replace('T', ' ')}" if memory.timestamp else ""
    say(f"from     {found.place}{when}, read {found.read_at[:10]}, trust {memory.trust}, label {memory.label}")
    if memory.conversation:
        say(f"         conversation {memory.conversation}, message {memory.message_id}")
    if found.missing:
        say(f"         {found.missing}; the memory stays until it is forgotten: molt memory forget {memory.id}")
    for place, words, is_memory in found.around:
        say(f"{'      >' if is_memory else '       '}  {place:>4}  {shorten(words, 200)}")
    for one in found.shown[-10:]:
        speaker = f"molt {one.molt}" if one.molt else "the base"
        moment = one.timestamp[:16].replace("T", " ")
        say(f"shown    {moment} to {speaker} in {one.conversation[:8]} message {one.message_id}")
    if len(found.shown) > 10:
        say(f"         and {len(found.shown) - 10} times before")
    if not found.shown:
        say("shown    never in a conversation of this home")
