"""Writes a conversation as markdown to where the person says; what is there already is replaced only when agreed to."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from memory.files import write_atomic
from molting_agent.ui.background import in_background
from molting_agent.ui.screens.ask_line import AskLine
from molting_agent.ui.screens.confirm import Confirm

if TYPE_CHECKING:
    from molting_agent.agent import Agent

Say = Callable[[str], Any]


def export_session(app: App[Any], agent: "Agent", session_id: str, say: Say, *, to: str = "") -> None:
    """Ask for a file (unless ``to`` names it) and write; ``say`` gets one line about the outcome."""

    def write(path: Path) -> None:
        def work() -> str:
            text, written, withheld = _markdown(agent, session_id)
            write_atomic(path, text)
            left = f"; {withheld} turns are left out: a private one, and what follows it" if withheld else ""
            return f"{path}: {written} turns{left}"

        in_background(app, work, then=say, failed=say)

    def chosen(answer: str | None) -> None:
        if not answer or not answer.strip():
            return
        path = Path(answer.strip()).expanduser().absolute()
        if path.is_dir() or not path.parent.is_dir():
            say(f"{path}: not a file in a folder that is there")
        elif path.exists():
            question = Confirm(f"Replace {path.name}?", str(path), [("leave", "Leave it"), ("replace", "Replace it")])
            app.push_screen(question, lambda choice: write(path) if choice == "replace" else None)
        else:
            write(path)

    if to:
        chosen(to)
    else:
        app.push_screen(AskLine("Where to?", value=f"conversation-{session_id[:8]}.md"), chosen)


def _markdown(agent: "Agent", session_id: str) -> tuple[str, int, int]:
    from molting_agent.session import Session, SessionList
    from molting_agent.session_text import session_markdown

    session = agent.session
    if session.id != session_id:
        session, _aside = Session.load(SessionList(agent.home.sessions_dir).find(session_id))
    return session_markdown(agent.memory, session)
