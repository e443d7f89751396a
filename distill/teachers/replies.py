"""Every answer of a teacher, kept at once: an append-only JSON Lines file a teacher in HOME/teachers/NAME."""

import contextlib
import json
import threading
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from memory.errors import HomeError
from memory.exchanges import holds
from memory.files import append_line, file_lock, write_atomic
from memory.home import Home
from memory.transcripts.model import Label

FILE = "replies.jsonl"
TORN = "replies.torn"
Status = Literal["ok", "unparsed", "cut", "refused"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer with all that it came from.

    ``status``: ``ok``; ``unparsed`` (not in the form, even after one repair), ``cut`` (at the token limit), ``refused``
    (by the provider). ``raw`` is the answer as it came where it is not ``ok``. ``messages`` are (role, content) of what
    was asked, without the system prompt, whose sha256 is ``system_sha256``. ``context_ids`` are the messages of the
    conversation that stand in it. Tokens add up over a repair; where the teacher counted none they are estimated.
    """

    key: str
    teacher: str
    kind: str
    model: str
    conversation: str
    message: str
    context_ids: tuple[str, ...]
    source: Literal["conversation", "file"]
    label: Label
    started_at: str
    system_sha256: str
    messages: tuple[tuple[str, str], ...]
    status: Status
    reply: str
    rationale: str
    raw: str
    tokens_in: int
    tokens_out: int
    asked_at: str


def teachers_dir(home: Home) -> Path:
    """Where the answers of all teachers of a home are."""
    return home.root / "teachers"


class Replies:
    """The answers of one teacher. Open it once a process, under its lock; ``add`` may be called from any thread.

    Lines that a crash tore (or that cannot be read) are set aside in ``replies.torn`` when it is opened. Of several
    lines with one key the last holds. Errors: HomeError.
    """

    def __init__(self, home: Home, teacher: str) -> None:
        self.folder = teachers_dir(home) / teacher
        self.path = self.folder / FILE
        self._adding = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.set_aside = _set_torn_aside(self.folder)
            self._found = {reply.key: reply for reply in read_replies(self.path)}
        except OSError as error:
            raise HomeError(f"{self.path}: cannot be read ({error.strerror}); is the folder yours?") from error

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def __iter__(self) -> Iterator[Reply]:
        return iter(list(self._found.values()))

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: str) -> Reply | None:
        """The answer to a prompt, None when there is none yet."""
        return self._found.get(key)

    def add(self, reply: Reply) -> None:
        """Keep an answer: on disk (fsync) when this returns."""
        line = json.dumps(asdict(reply), ensure_ascii=False)
        with self._adding:
            try:
                append_line(self.path, line.encode("utf-8", "replace").decode())
            except OSError as error:
                raise HomeError(
                    f"{self.path}: cannot be written ({error.strerror}); make room, then run the same command again"
                ) from error
            self._found[reply.key] = reply


@contextlib.contextmanager
def locked(home: Home, teacher: str, *, blocking: bool = False) -> Iterator[bool]:
    """Hold the store of one teacher; yields False when another process has it."""
    with file_lock(teachers_dir(home) / teacher / "lock", blocking=blocking) as free:
        yield free


def read_replies(path: Path) -> Iterator[Reply]:
    """The answers of a file in the order they came; unreadable lines are passed over. Raises OSError."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if (reply := _reply(line)) is not None:
                yield reply


def _reply(line: bytes) -> Reply | None:
    try:
        values: dict[str, Any] = json.loads(line)
        values["context_ids"] = tuple(values["context_ids"])
        values["messages"] = tuple((role, content) for role, content in values["messages"])
        return Reply(**values)
    except (ValueError, TypeError, KeyError):
        return None


def _set_torn_aside(folder: Path) -> int:
    """Move lines that are no answers to ``replies.torn``; how many. First there: a crash doubles, never loses."""
    path = folder / FILE
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    torn = [line for line in lines if line.strip() and _reply(line) is None]
    if torn:
        for line in torn:
            append_line(folder / TORN, line.decode("utf-8", "replace").rstrip("\n"))
        write_atomic(path, b"".join(line for line in lines if _reply(line) is not None))
    return len(torn)


def forget(home: Home, ids: Collection[str], needles: Collection[bytes] = ()) -> int:
    """Remove every answer that came from these conversations or messages, or says a needle (see ``trust.words``).

    Returns how many went.

    Afterwards no byte of them is in HOME/teachers: torn lines, which cannot be told apart, go too. Waits for a running
    collection to end. Errors: HomeError.
    """
    wanted = set(ids)
    removed = 0
    for folder in sorted(teachers_dir(home).glob("*/")) if wanted else ():
        with locked(home, folder.name, blocking=True):
            try:
                (folder / TORN).unlink(missing_ok=True)
                removed += _remove(folder / FILE, wanted, needles)
            except OSError as error:
                raise HomeError(f"{folder}: cannot be rewritten ({error.strerror}); nothing was forgotten") from error
    return removed


def _said_in(reply: Reply) -> str:
    said = [content for _role, content in reply.messages]
    return "\n".join((*said, reply.reply, reply.rationale, reply.raw))


def _remove(path: Path, wanted: set[str], needles: Collection[bytes]) -> int:
    if not path.exists():
        return 0
    kept: list[bytes] = []
    removed = 0
    for line in path.read_bytes().splitlines(keepends=True):
        reply = _reply(line)
        is_wanted = reply is not None and (
            reply.conversation in wanted
            or not wanted.isdisjoint(reply.context_ids)
            or (bool(needles) and holds(_said_in(reply), needles))
        )
        if reply is None or is_wanted:
            removed += reply is not None
        else:
            kept.append(line)
    if removed or kept != path.read_bytes().splitlines(keepends=True):
        write_atomic(path, b"".join(kept))
    return removed
