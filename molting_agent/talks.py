"""The conversations of one agent: begun, resumed, searched, named, rated, edited, and taken back to another branch."""

import threading
from pathlib import Path

from memory.errors import UsageError
from molting_agent.events import Notice
from molting_agent.session import Session, SessionList, SessionSummary
from molting_agent.session_search import FoundTurn, SessionSearch


class Talks:
    """What an agent does with its conversations between turns; ``session`` is the one that goes on."""

    def __init__(self, sessions_dir: Path) -> None:
        self.session = Session(sessions_dir)
        self._sessions = SessionList(sessions_dir)
        self._search = SessionSearch(self._sessions)
        self._busy = threading.Lock()
        """Held while a reply is under way."""

    def _session_changed(self) -> None:
        """Another conversation, or another end of it, goes on."""
        raise NotImplementedError

    def _words_changed(self) -> None:
        """What was said has changed on disk: the memory reads it anew."""
        raise NotImplementedError

    def new_session(self) -> None:
        """Begin another conversation; the old one is on disk already."""
        self._change_session(Session(self._sessions.sessions_dir))

    def resume(self, session_id: str) -> list[Notice]:
        """Go on with a conversation, by its id, the beginning of it, or ``last``. Errors: UsageError."""
        session, aside = Session.load(self._sessions.find(session_id))
        self._change_session(session)
        return [Notice(line, "warning") for line in aside]

    def sessions(self) -> list[SessionSummary]:
        """All conversations, newest first."""
        return self._sessions.all()

    def search_sessions(self, query: str) -> list[FoundTurn]:
        """Conversations in which all words of ``query`` stand, newest first; "" gives all."""
        return self._search.find(query)

    def rename_session(self, session_id: str, title: str) -> None:
        """Give a conversation another title. Errors: UsageError."""
        session = self.session
        if session.id != session_id:
            session, _aside = Session.load(self._sessions.find(session_id))
        session.rename(title)

    def go_back(self, message_id: str, *, mark: str = "") -> None:
        """Go on after this message ("": from the beginning); what came after it stays on disk as a branch.

        ``mark`` names the place on disk, so that it holds even if nothing more is said. Errors: UsageError.
        """
        if self._busy.locked():
            raise UsageError("a reply is under way; stop it before going back")
        self.session.return_to(message_id, mark=mark)
        self._change_session(self.session)

    def change_branch(self, message_id: str) -> None:
        """Go on with the branch of this conversation that ends with this message. Errors: UsageError, HomeError."""
        path = self.session.path
        if path is None or self._busy.locked():
            raise UsageError("a reply is under way, or nothing was said yet; try again")
        self.session.mark_branch(message_id)
        self._change_session(Session.load(path)[0])

    def rate(self, message_id: str, rating: int) -> None:
        """Keep a thumb on a reply: +1, -1 or 0. Errors: UsageError."""
        self.session.rate(message_id, rating)
        self._words_changed()

    def edit(self, message_id: str, text: str) -> None:
        """Keep what the person would have had him say. Errors: UsageError."""
        self.session.edit(message_id, text)
        self._words_changed()

    def use_session(self, session: Session) -> None:
        """Talk in a conversation that is kept elsewhere, such as a round of the heartbeat. Errors: UsageError."""
        self._change_session(session)

    def _change_session(self, session: Session) -> None:
        if self._busy.locked():
            raise UsageError("a reply is under way; stop it before changing the conversation")
        self.session = session
        self._session_changed()
