"""A conversation as markdown for people, without what is private in it."""

from itertools import takewhile
from typing import TYPE_CHECKING

from memory.errors import UsageError
from memory.labels import withhold
from molting_agent.session import Session, SessionTurn, shorten_title

if TYPE_CHECKING:
    from memory.api import Memory


def session_markdown(memory: "Memory", session: Session) -> tuple[str, int, int]:
    """(markdown, turns written, turns withheld); it ends before the first private turn. Errors: UsageError."""
    turns = exportable(memory, session)
    withheld = len(session.turns) - len(turns)
    # the title of the whole conversation may say what was private
    title = shorten_title(turns[0].text) if withheld else session.title
    return as_markdown(title, turns), len(turns), withheld


def exportable(memory: "Memory", session: Session) -> list[SessionTurn]:
    """The turns before the first private one, by the labels in the memory. Errors: UsageError when there are none."""
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


def as_markdown(title: str, turns: list[SessionTurn]) -> str:
    """Replies name the molt that spoke, and whether the person edited or stopped them."""
    parts = [f"# {title}"]
    for turn in turns:
        if turn.role == "user":
            parts.append(f"## You\n\n{turn.text}")
            continue
        remarks = [f"molt {turn.molt}"] + ["edited"] * turn.edited + ["stopped"] * turn.stopped
        parts.append(f"## Cláudio ({', '.join(remarks)})\n\n{turn.text}")
    return "\n\n".join(parts) + "\n"
