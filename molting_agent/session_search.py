"""Full-text search over all conversations of a home: every wanted word must stand in one turn or in the title."""

from dataclasses import dataclass
from pathlib import Path

from memory.errors import MoltingError
from memory.transcripts.read import read_transcript
from molting_agent.clean import clean_line
from molting_agent.session import SessionList, SessionSummary

AROUND_CHARS = 48


@dataclass(frozen=True, slots=True)
class FoundTurn:
    """A conversation in which the words stand: where first (``message_id`` "": in its title), and how often."""

    summary: SessionSummary
    message_id: str
    role: str
    excerpt: str
    hits: int


class SessionSearch:
    """Keeps the text of each file it has read, until the file changes."""

    def __init__(self, sessions: SessionList) -> None:
        self.sessions = sessions
        self._texts: dict[Path, tuple[tuple[int, int], list[tuple[str, str, str, str]]]] = {}

    def find(self, query: str) -> list[FoundTurn]:
        """Conversations with the words of ``query`` in one turn or in the title, newest first; an empty query: all."""
        words = query.casefold().split()
        found = []
        for summary in self.sessions.newest_first():
            hits = [turn for turn in self._turns(summary.path) if all(word in turn[3] for word in words)]
            in_title = all(word in _line_of(summary) for word in words)
            if not words or (in_title and not hits):
                found.append(FoundTurn(summary, "", "", "", 0))
            elif hits:
                message_id, role, text, _folded = hits[0]
                found.append(FoundTurn(summary, message_id, role, excerpt(text, words[0]), len(hits)))
        return found

    def _turns(self, path: Path) -> list[tuple[str, str, str, str]]:
        """(message id, role, text, folded text) of each turn; a file that cannot be read has none."""
        try:
            status = path.stat()
            key = (status.st_mtime_ns, status.st_size)
            known = self._texts.get(path)
            if known is None or known[0] != key:
                turns = [turn for turn in read_transcript(path).turns if turn.role in ("user", "assistant")]
                said: list[tuple[str, str, str, str]] = [
                    (turn.id, turn.role, turn.final_text, turn.final_text.casefold()) for turn in turns
                ]
                known = (key, said)
                self._texts[path] = known
        except (MoltingError, OSError):
            return []
        return known[1]


def _line_of(summary: SessionSummary) -> str:
    return f"{summary.title} {summary.updated_at[:16].replace('T', ' ')} {summary.id}".casefold()


def excerpt(text: str, word: str) -> str:
    """One line around the first place where ``word`` (casefolded) stands."""
    line = clean_line(text)
    at = max(0, line.casefold().find(word))
    start = max(0, at - AROUND_CHARS)
    end = at + len(word) + AROUND_CHARS
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def _written_at(path: Path) -> int:
    """Nanoseconds; names carry the second in which a conversation began, which two of them can share."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def questions(sessions_dir: Path, limit: int) -> list[str]:
    """What the person asked in any conversation, the conversation last written to first, each once."""
    found: dict[str, None] = {}
    for path in sorted(sessions_dir.glob("*.jsonl"), key=_written_at, reverse=True):
        try:
            turns = read_transcript(path).turns
        except (MoltingError, OSError):
            continue
        for turn in reversed(turns):
            if turn.role == "user":
                found.setdefault(turn.text)
        if len(found) >= limit:
            break
    return list(found)[:limit]
