"""Writes our own conversations in the pi/OpenClaw v3 form: append-only, each append on disk before it returns."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from memory.errors import HomeError
from memory.files import append_line, file_lock
from memory.transcripts.fields import clean_text, text_field
from memory.transcripts.lines import read_json_lines
from memory.transcripts.model import Skipped
from memory.transcripts.pi import EDIT, RATING

VERSION = 3
FORGOTTEN = "[forgotten]"
"""What stands where a text was removed: that something was said stays, what was said does not."""


def new_id() -> str:
    """A fresh entry id: 8 hex digits, as pi writes them."""
    return secrets.token_hex(4)


def now() -> str:
    """This moment as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SessionWriter:
    """One conversation on disk. ``path`` is its file and ``id`` its session id. Errors: HomeError."""

    def __init__(self, path: Path, session_id: str, parent_id: str | None, used_ids: set[str]) -> None:
        self.path = path
        self.id = session_id
        self._parent_id = parent_id
        self._used_ids = used_ids

    @classmethod
    def create(cls, sessions_dir: Path, *, cwd: str = "") -> "SessionWriter":
        """Start a new session file ``YYYY-MM-DDTHH-MM-SS_<id8>.jsonl`` with its header."""
        session_id = str(uuid4())
        started_at = now()
        name = f"{started_at[:19].replace(':', '-')}_{session_id[:8]}.jsonl"
        writer = cls(sessions_dir / name, session_id, None, set())
        header = {"type": "session", "version": VERSION, "id": session_id, "timestamp": started_at, "cwd": cwd}
        writer._write({**header, "molting": {}})
        return writer

    @classmethod
    def open(cls, path: Path) -> "SessionWriter":
        """Go on with an existing session; a torn last line stays as it is, the next append starts on its own line."""
        session_id, parent_id = path.stem.rpartition("_")[2], None
        used: set[str] = set()
        skipped: list[Skipped] = []
        try:
            for _, record in read_json_lines(path, skipped):
                if record.get("type") == "session":
                    session_id = text_field(record, "id") or session_id
                elif entry_id := text_field(record, "id"):
                    parent_id = entry_id
                    used.add(entry_id)
        except OSError as error:
            raise HomeError(f"{path}: this session cannot be read ({error.strerror})") from error
        return cls(path, session_id, parent_id, used)

    def user(self, text: str) -> str:
        """The person's words; returns the message id once they are on disk."""
        return self._message({"role": "user", "content": [{"type": "text", "text": text}]}, "")

    def assistant(
        self,
        text: str,
        *,
        molt: int,
        base_sha256: str,
        model: str,
        memories: Sequence[str],
        stopped: bool = False,
        usage: dict[str, int] | None = None,
        message_id: str = "",
        thinking: str = "",
    ) -> str:
        """A reply with the molt that spoke and the ids of the memories it was shown; returns the message id.

        ``thinking`` is what was thought aloud before it, kept apart as the format has it.
        """
        message = _assistant(
            [
                *([{"type": "thinking", "thinking": clean_text(thinking)}] if thinking else []),
                {"type": "text", "text": text},
            ],
            model=model,
            usage=usage or {},
            reason="aborted" if stopped else "stop",
            molting={"molt": molt, "base_sha256": base_sha256, "memories": list(memories)},
        )
        return self._message(message, message_id)

    def tool_use(
        self,
        call_id: str,
        name: str,
        arguments: Mapping[str, Any],
        result: str,
        *,
        failed: bool,
        molt: int,
        base_sha256: str,
        model: str,
    ) -> None:
        """A tool call of the agent and what came back: two messages, as pi writes them. A result is nobody's words."""
        call = {"type": "toolCall", "id": call_id, "name": name, "arguments": _clean(dict(arguments))}
        molting = {"molt": molt, "base_sha256": base_sha256, "memories": []}
        self._message(_assistant([call], model=model, usage={}, reason="toolUse", molting=molting), "")
        self._message(
            {
                "role": "toolResult",
                "toolCallId": call_id,
                "toolName": name,
                "content": [{"type": "text", "text": result}],
                "isError": failed,
                "molting": {"trust": "untrusted"},
            },
            "",
        )

    def rate(self, message_id: str, rating: int) -> None:
        """The person's verdict on a reply: +1, -1, or 0 to take it back."""
        self._entry({"type": "custom", "customType": RATING, "data": {"message_id": message_id, "rating": rating}})

    def edit(self, message_id: str, text: str) -> None:
        """What the person would have had him say; the original stays in its line."""
        data = {"message_id": message_id, "text": clean_text(text)}
        self._entry({"type": "custom", "customType": EDIT, "data": data})

    def title(self, text: str) -> None:
        """Name the session; the last name wins."""
        self._entry({"type": "session_info", "name": clean_text(text)})

    def go_to(self, entry_id: str | None) -> None:
        """Let the next entry follow this one (None: nothing), so that what came after it is another branch.

        Nothing is written: the branch begins with the next entry.
        """
        if entry_id is not None and entry_id not in self._used_ids:
            raise HomeError(f"{self.path}: there is no entry {entry_id} in this session")
        self._parent_id = entry_id

    def mark(self, name: str) -> None:
        """Write a pi label at the place where the session stands now: a reader takes the branch that ends here."""
        self._entry({"type": "label", "targetId": self._parent_id, "label": clean_text(name)})

    def _message(self, message: dict[str, Any], message_id: str) -> str:
        for block in message["content"]:
            if "text" in block:  # what was thought has been cleaned already
                block["text"] = clean_text(block["text"])
        return self._entry({"type": "message", "message": message}, message_id)

    def _entry(self, record: dict[str, Any], entry_id: str = "") -> str:
        while not entry_id or entry_id in self._used_ids:
            entry_id = new_id()
        head = {"type": record["type"], "id": entry_id, "parentId": self._parent_id, "timestamp": now()}
        self._write({**head, **record})
        self._parent_id = entry_id
        self._used_ids.add(entry_id)
        return entry_id

    def _write(self, record: dict[str, Any]) -> None:
        try:
            with file_lock(lock_of(self.path)):
                append_line(self.path, json.dumps(record, ensure_ascii=False))
        except OSError as error:
            raise HomeError(f"{self.path}: cannot be written ({error.strerror}); nothing was said aloud") from error


def _assistant(
    content: list[dict[str, Any]], *, model: str, usage: dict[str, int], reason: str, molting: dict[str, Any]
) -> dict[str, Any]:
    counts = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, **usage}
    counts.setdefault("totalTokens", counts["input"] + counts["output"])
    return {
        "role": "assistant",
        "content": content,
        "api": "molting",
        "provider": "local",
        "model": model,
        "usage": counts,
        "stopReason": reason,
        "molting": molting,
    }


def _clean(value: Any) -> Any:
    """JSON with every text in it cleaned of what cannot be encoded."""
    if isinstance(value, dict):
        return {clean_text(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return clean_text(value) if isinstance(value, str) else value


def lock_of(path: Path) -> Path:
    """One lock for all sessions of a home: a redaction replaces a file, and no append may fall in between."""
    return path.parent / ".lock"
