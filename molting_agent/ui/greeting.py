"""Greets a person on the first run, and keeps what was answered."""

import os
import shlex
from typing import TYPE_CHECKING

from molting_agent.first_run import FoundLogs, Machine, found_logs, is_first_run, machine, met, write_user
from molting_agent.ui.background import in_background
from molting_agent.ui.screens.first_run import Answers, FirstRunScreen

if TYPE_CHECKING:
    from molting_agent.ui.app import MoltingApp


def greet(app: "MoltingApp") -> None:
    """Look around in the background and, in a home where nobody was greeted, ask."""

    def look() -> tuple[Machine, list[FoundLogs]] | None:
        return (machine(), found_logs(os.environ)) if is_first_run(app.home) else None

    def looked(found: tuple[Machine, list[FoundLogs]] | None) -> None:
        if found is not None and app.screen is app.chat:
            app.push_screen(FirstRunScreen(app.chat.speaker, *found), lambda answers: _answered(app, answers))

    in_background(app, look, then=looked, failed=lambda line: app.chat.note(line, "warning"))


def _answered(app: "MoltingApp", answers: Answers | None) -> None:
    name, language, folder = answers or ("", "", "")

    def keep() -> bool:
        written = write_user(app.home, name, language)
        met(app.home)
        return written

    async def kept(written: bool) -> None:
        if written:
            await app.chat.note("Written to USER.md; F6 shows and edits it.", "receipt")
            if app.ready and app.agent is not None and not app.agent.session.turns:
                app.chat.when_free(lambda agent: agent.new_session(), then=lambda _done: None)
        if folder:
            app.action_ingest(shlex.quote(folder))

    in_background(app, keep, then=kept, failed=lambda line: app.chat.note(line, "error"))
