"""Asks the person whether a tool may act: the exact action, and three answers."""

from typing import Any

from textual.app import App

from molting_agent.ui.messages import ConsentAsked
from molting_agent.ui.screens.confirm import Confirm


def ask_consent(app: App[Any], message: ConsentAsked) -> None:
    """Show the question; Esc is a no. The first answer, which has the cursor, is no too: Enter alone does nothing."""
    answers = [
        ("no", "No"),
        ("once", "Yes, this once"),
        ("session", "Yes, and the same again unasked, until I leave"),
    ]

    def answered(answer: str | None) -> None:
        message.answer.put("once" if answer == "once" else "session" if answer == "session" else "no")

    app.push_screen(Confirm(f"May he use {message.proposal.tool}?", message.proposal.action, answers), answered)
