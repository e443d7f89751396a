"""A live conversation over its transcript file: turns as they stand now, appended, rated and edited by the writer."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from memory.errors import MoltingError, UsageError
from memory.transcripts.model import ToolCall, Transcript, Turn
from memory.transcripts.read import read_transcript
from memory.transcripts.writer import SessionWriter
from molting_agent.clean import clean, clean_line
from molting_agent.tools.results import ToolUse

TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class SessionTurn:
    """One thing said. ``molt``, ``memories`` (ids shown with the question), ``uses`` (of tools, since the question) and
    the verdicts belong to replies.

    ``text`` is what stands now, the person's edit where there is one; ``rating`` is +1, -1 or 0; ``thinking`` is what
    he thought aloud before it.
    """

    message_id: str
    role: str
    text: str
    molt: int = 0
    memories: tuple[str, ...] = ()
    rating: int = 0
    edited: bool = False
    stopped: bool = False
    uses: tuple[ToolUse, ...] = ()
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One line of a list of conversations; times are ISO 8601."""

    id: str
    path: Path
    title: str
    started_at: str
    turns: int
    updated_at: str


class Session:
    """One conversation. A new one has no file (``path`` None, ``id`` "") until the first words are said."""

    def __init__(self, sessions_dir: Path) -> None:
        self.turns: list[SessionTurn] = []
        self.title = ""
        self._sessions_dir = sessions_dir
        self._writer: SessionWriter | None = None

    @classmethod
    def load(cls, path: Path) -> tuple["Session", list[str]]:
        """A conversation from its file, and one line for each thing that had to be set aside (a torn last line)."""
        transcript = read_transcript(path)
        session = cls(path.parent)
        session._writer = SessionWriter.open(path)
        session.turns = [_session_turn(turn) for turn in transcript.turns if turn.role in ("user", "assistant")]
        session.title = title_of(transcript)
        aside = [f"{skipped.path}:{skipped.line}: set aside: {skipped.reason}" for skipped in transcript.skipped]
        return session, aside

    @property
    def id(self) -> str:
        return self._writer.id if self._writer else ""

    @property
    def path(self) -> Path | None:
        return self._writer.path if self._writer else None

    def add_user(self, text: str) -> str:
        """Put the person's words on disk (fsync) and give their message id."""
        if self._writer is None:
            self._sessions_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._writer = SessionWriter.create(self._sessions_dir, cwd=str(Path.cwd()))
        text = text.strip()  # as every reader of transcripts gives it back
        message_id = self._writer.user(text)
        self.turns.append(SessionTurn(message_id, "user", text))
        self.title = self.title or shorten_title(text)
        return message_id

    def rename(self, title: str) -> None:
        """Give the conversation another title. Errors: UsageError for an empty one, or before the first words."""
        title = clean_line(title)
        if not title or self._writer is None:
            raise UsageError("give a title" if self._writer else "there is nothing to name yet; say something first")
        self._writer.title(title)
        self.title = shorten_title(title)

    def return_to(self, message_id: str, *, mark: str = "") -> None:
        """Go on after this message ("": from the beginning); what was said after it stays in the file, as a branch.

        Readers take the branch of the newest entry: ``mark`` writes one at once. Errors: UsageError when the message is
        not in this conversation.
        """
        ids = [turn.message_id for turn in self.turns]
        if message_id and message_id not in ids:
            raise UsageError(f"{message_id}: no message of that id in this conversation")
        if self._writer is not None:
            self._writer.go_to(message_id or None)
            if mark:
                self._writer.mark(mark)
        self.turns = self.turns[: ids.index(message_id) + 1 if message_id else 0]

    def mark_branch(self, message_id: str) -> None:
        """Let the branch that ends with this message be the one that readers take. Errors: HomeError."""
        if self._writer is not None:
            self._writer.go_to(message_id)
            self._writer.mark("branch")

    def new_message_id(self) -> str:
        """An id for a reply that is about to be spoken."""
        taken = {turn.message_id for turn in self.turns}
        while (candidate := secrets.token_hex(4)) in taken:
            pass
        return candidate

    def add_use(self, use: ToolUse, *, molt: int, base_sha256: str, model: str) -> None:
        """Put a tool call and its result on disk, before the reply that speaks of them."""
        assert self._writer is not None  # noqa: S101 - a call follows words that opened the file
        self._writer.tool_use(
            use.id,
            use.name,
            use.arguments,
            use.result,
            failed=use.state != "done",
            molt=molt,
            base_sha256=base_sha256,
            model=model,
        )

    def add_reply(
        self,
        message_id: str,
        text: str,
        *,
        molt: int,
        base_sha256: str,
        model: str,
        memories: Sequence[str],
        stopped: bool,
        usage: dict[str, int],
        thinking: str = "",
        uses: Sequence[ToolUse] = (),
    ) -> SessionTurn:
        """Put a reply on disk with who spoke it and what he was shown."""
        text = text.strip()
        assert self._writer is not None  # noqa: S101 - a reply follows words that opened the file
        self._writer.assistant(
            text,
            molt=molt,
            base_sha256=base_sha256,
            model=model,
            memories=memories,
            stopped=stopped,
            usage=usage,
            message_id=message_id,
            thinking=thinking,
        )
        turn = SessionTurn(
            message_id,
            "assistant",
            text,
            molt,
            tuple(memories),
            stopped=stopped,
            uses=tuple(uses),
            thinking=clean(thinking),
        )
        self.turns.append(turn)
        return turn

    def rate(self, message_id: str, rating: int) -> None:
        """Keep the person's thumb: +1, -1, or 0 to take it back. Errors: UsageError."""
        if rating not in (-1, 0, 1):
            raise UsageError(f"a rating is 1, -1 or 0, not {rating}")
        writer, index = self._reply(message_id)
        writer.rate(message_id, rating)
        self.turns[index] = replace(self.turns[index], rating=rating)

    def edit(self, message_id: str, text: str) -> None:
        """Keep what the person would have had him say; it stands in the history from now on. Errors: UsageError."""
        text = text.strip()
        if not text:
            raise UsageError("an edited reply cannot be empty")
        writer, index = self._reply(message_id)
        writer.edit(message_id, text)
        self.turns[index] = replace(self.turns[index], text=text, edited=True)

    def _reply(self, message_id: str) -> tuple[SessionWriter, int]:
        for index, turn in enumerate(self.turns):
            if turn.message_id == message_id and turn.role == "assistant" and self._writer:
                return self._writer, index
        raise UsageError(f"{message_id}: no reply of that id in this conversation")


class SessionList:
    """The conversations of a home, newest first; files that did not change are read once."""

    def __init__(self, sessions_dir: Path) -> None:
        self.sessions_dir = sessions_dir
        self._known: dict[tuple[Path, int, int], SessionSummary | None] = {}

    def all(self) -> list[SessionSummary]:
        """Every conversation in which something was said."""
        return list(self.newest_first())

    def newest_first(self) -> Iterator[SessionSummary]:
        """The same, read one by one."""
        for path in self._files():
            if summary := self._summary(path):
                yield summary

    def find(self, session_id: str) -> Path:
        """The file of a conversation by its id, the beginning of it, or ``last``. Errors: UsageError."""
        if session_id == "last":
            for summary in self.newest_first():
                return summary.path
            raise UsageError("there is no conversation yet; begin one: molt ask TEXT")
        # The file's name ends in the first eight characters of the id, so that only fitting files are read.
        fitting = [p for p in self._files() if session_id and p.stem.rpartition("_")[2].startswith(session_id[:8])]
        found = [s.path for p in fitting if (s := self._summary(p)) and s.id.startswith(session_id)]
        if len(found) != 1:
            what = "no conversation of that id" if not found else f"{len(found)} conversations begin with that id"
            raise UsageError(f"{session_id}: {what}; see: molt sessions ls")
        return found[0]

    def _files(self) -> list[Path]:
        return sorted(self.sessions_dir.glob("*.jsonl"), reverse=True)

    def _summary(self, path: Path) -> SessionSummary | None:
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_size)
        if key not in self._known:
            try:
                transcript = read_transcript(path)
            except MoltingError:  # a file that is no conversation belongs in no list of them
                self._known[key] = None
            else:
                self._known[key] = summarise(transcript, datetime.fromtimestamp(status.st_mtime, UTC))
        return self._known[key]


def summarise(transcript: Transcript, updated: datetime) -> SessionSummary | None:
    """One line about a conversation; None when nothing was said in it."""
    said = [turn for turn in transcript.turns if turn.role in ("user", "assistant")]
    if not said:
        return None
    updated_at = updated.isoformat(timespec="seconds").replace("+00:00", "Z")
    return SessionSummary(
        transcript.id, transcript.path, title_of(transcript), transcript.started_at, len(said), updated_at
    )


def title_of(transcript: Transcript) -> str:
    """The title that was given, else the person's first words."""
    first = next((turn.text for turn in transcript.turns if turn.role == "user"), "")
    return shorten_title(transcript.title or first)


def shorten_title(text: str) -> str:
    """The beginning of a text as one clean line of at most 60 characters."""
    line = clean_line(text)
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"


def _session_turn(turn: Turn) -> SessionTurn:
    return SessionTurn(
        turn.id,
        turn.role,
        turn.final_text,
        turn.spoken_by or 0,
        turn.shown_memories,
        rating={True: 1, False: -1, None: 0}[turn.approved],
        edited=turn.edited_text is not None,
        stopped=turn.stopped,
        uses=tuple(_use(call) for call in turn.tool_calls),
        thinking=clean(turn.rationale),
    )


def _use(call: ToolCall) -> ToolUse:
    """A use as it was logged; of long arguments and results the log's readers keep the beginning."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = {"arguments": call.arguments}
    arguments = arguments if isinstance(arguments, dict) else {"arguments": call.arguments}
    return ToolUse(call.id, call.name, arguments, clean(call.result), "failed" if call.failed else "done")
