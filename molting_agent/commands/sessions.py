"""``molt sessions``: the conversations of a home, listed, searched and exported."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memory.files import write_atomic
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
from molting_agent.commands.memory import opened

if TYPE_CHECKING:
    from memory.home import Home
    from molting_agent.session import SessionTurn


@click.group(cls=MoltGroup, name="sessions", epilog="Example: molt sessions ls")
@home_option
def sessions_group() -> None:
    """List, search and export conversations."""


@sessions_group.command(epilog="Example: molt sessions ls --limit 5")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@json_option
@with_home
def ls(home: "Home", limit: int, as_json: bool) -> None:
    """List the conversations, newest first."""
    from itertools import islice

    from molting_agent.session import SessionList

    found = list(islice(SessionList(home.sessions_dir).newest_first(), limit))
    if as_json:
        print_json([asdict(summary) for summary in found])
        return
    print_table([(one.id[:8], one.started_at[:16], f"{one.turns} turns", one.title) for one in found])


@sessions_group.command(epilog='Example: molt sessions search "router"')
@click.argument("words", nargs=-1, required=True)
@json_option
@with_home
def search(home: "Home", words: tuple[str, ...], as_json: bool) -> None:
    """Find the turns that contain WORDS, as they stand, in any conversation."""
    from molting_agent.session import Session, SessionList

    wanted = " ".join(words).casefold()
    found: list[tuple[str, SessionTurn]] = []
    for summary in SessionList(home.sessions_dir).newest_first():
        session, _aside = Session.load(summary.path)
        found += [(summary.id, turn) for turn in session.turns if wanted in turn.text.casefold()]
    if as_json:
        print_json([{"session": session_id, **asdict(turn)} for session_id, turn in found])
        return
    print_table(
        [(session_id[:8], turn.message_id, turn.role, _around(turn.text, wanted)) for session_id, turn in found]
    )


@sessions_group.command(epilog="Example: molt sessions export last -o talk.md")
@click.argument("session_id", metavar="ID")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to stdout.")
@with_home
def export(home: "Home", session_id: str, output: Path | None) -> None:
    """Write a conversation (its ID, or last) as markdown; it ends before the first private turn."""
    from molting_agent.session import Session, SessionList
    from molting_agent.session_text import session_markdown

    session, aside = Session.load(SessionList(home.sessions_dir).find(session_id))
    for line in aside:
        say(line, err=True)
    with opened(home) as memory:
        text, written, withheld = session_markdown(memory, session)
    if withheld:
        say(f"{withheld} turns are left out: a private one, and what follows it", err=True)
    if output:
        write_atomic(output, text)
        click.echo(f"{output}: {written} turns", err=True)
    else:
        say(text.rstrip("\n"))


def _around(text: str, wanted: str) -> str:
    """The place where the words stand, with some of what is around it."""
    at = text.casefold().find(wanted)
    start = max(0, at - 40)
    return ("…" if start else "") + shorten(text[start:])
