"""``molt sessions``: the conversations of a home, listed, searched and exported."""

from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memory.errors import UsageError
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
    from molting_agent.session import Session, SessionTurn


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
    from molting_agent.session import Session, SessionList, shorten_title

    session, aside = Session.load(SessionList(home.sessions_dir).find(session_id))
    for line in aside:
        say(line, err=True)
    title, turns = session.title, exportable(home, session)
    if withheld := len(session.turns) - len(turns):
        say(f"{withheld} turns are left out: a private one, and what follows it", err=True)
        title = shorten_title(turns[0].text)  # the whole conversation's may say what was private
    text = as_markdown(title, turns)
    if output:
        write_atomic(output, text)
        click.echo(f"{output}: {len(turns)} turns", err=True)
    else:
        say(text.rstrip("\n"))


def exportable(home: "Home", session: "Session") -> list["SessionTurn"]:
    """The turns before the first private one, by the labels in the memory. Errors: UsageError when there are none."""
    from memory.labels import withhold

    with opened(home) as memory:
        memory.sync()
        known = memory.conversation(session.id)
    if known is None:
        if session.turns:
            raise UsageError(f"{session.path}: what is private in it is not known; see: molt doctor")
        return []
    ids = {turn.id for turn in withhold(known).turns}
    turns = list(takewhile(lambda turn: turn.message_id in ids, session.turns))
    if session.turns and not turns:
        raise UsageError(f"{session.path}: private from its first words; nothing was written")
    return turns


def as_markdown(title: str, turns: list["SessionTurn"]) -> str:
    """A conversation for people; replies name the molt that spoke, and whether the person edited or stopped them."""
    parts = [f"# {title}"]
    for turn in turns:
        if turn.role == "user":
            parts.append(f"## You\n\n{turn.text}")
            continue
        remarks = [f"molt {turn.molt}"] + ["edited"] * turn.edited + ["stopped"] * turn.stopped
        parts.append(f"## Cláudio ({', '.join(remarks)})\n\n{turn.text}")
    return "\n\n".join(parts) + "\n"


def _around(text: str, wanted: str) -> str:
    """The place where the words stand, with some of what is around it."""
    at = text.casefold().find(wanted)
    start = max(0, at - 40)
    return ("…" if start else "") + shorten(text[start:])
