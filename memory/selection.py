"""What a forgetting by words, by source or by date would take: shown to the person before anything is done."""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from memory.errors import UsageError
from memory.exchanges import Messages, exchanges_of
from memory.home import Home
from memory.ingest import source_key
from memory.store import Store
from memory.values import RecalledMemory


@dataclass(frozen=True, slots=True)
class Selection:
    """Memories that fit, and messages by conversation: those behind the memories and those that are none.

    ``unlisted`` counts the messages that no memory stands for (the agent's own replies that nobody approved).
    """

    memories: list[RecalledMemory] = field(default_factory=list)
    messages: dict[str, set[str]] = field(default_factory=dict)
    unlisted: int = 0

    @property
    def ids(self) -> list[str]:
        return [memory.id for memory in self.memories]

    def __bool__(self) -> bool:
        return bool(self.memories or self.messages)


def select(
    home: Home, store: Store, *, query: str = "", source: str = "", since: str = "", until: str = ""
) -> Selection:
    """All that fits every one of the conditions that are given; see ``Memory.select``. Raises UsageError."""
    tests: list[Callable[[sqlite3.Row], bool]] = []
    if query.strip():
        tests.append(_says(query))
    if source:
        tests.append(_comes_from(home, store, source))
    if since or until:
        tests.append(_within(since, until))
    if not tests:
        raise UsageError("say what to forget: ids, --query, --source, --since or --until")
    chunks, turns = _rows(store)
    fitting = [row for row in chunks if all(test(row) for test in tests)]
    wanted: Messages = {}
    for row in turns:
        if all(test(row) for test in tests):
            wanted.setdefault(row["conversation_id"], set()).add(row["id"])
    whole = exchanges_of(store, wanted)
    listed = {(row["conversation_id"], name) for row in fitting for name in json.loads(row["message_ids"])}
    behind = {row["conversation_id"]: row["transcript_id"] for row in (*chunks, *turns) if row["transcript_id"]}
    return Selection(
        store.memories([row["id"] for row in fitting]),
        {behind[number]: names for number, names in whole.items()},
        sum((number, name) not in listed for number, names in whole.items() for name in names),
    )


def _rows(store: Store) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
    """(chunks, turns), with what the conditions look at under the same names."""
    with store.locked() as connection:
        chunks = connection.execute(
            "SELECT c.id, c.text, c.heading, c.timestamp, c.conversation_id, c.message_ids, c.source_id, s.path,"
            " t.transcript_id FROM chunks c JOIN sources s ON s.id = c.source_id"
            " LEFT JOIN conversations t ON t.id = c.conversation_id ORDER BY s.path, c.timestamp, c.line_start"
        ).fetchall()
        turns = connection.execute(
            "SELECT t.id, t.text || ' ' || t.rationale || ' ' || coalesce(t.edited_text, '') AS text, '' AS heading,"
            " t.timestamp, t.conversation_id, c.source_id, s.path, c.transcript_id FROM turns t"
            " JOIN conversations c ON c.id = t.conversation_id JOIN sources s ON s.id = c.source_id"
        ).fetchall()
    return chunks, turns


def _says(query: str) -> Callable[[sqlite3.Row], bool]:
    """All content words stand in the text, each as a word or as the beginning of one ("backup" fits "backups")."""
    from memory.recall.words import content_terms

    terms = [f" {term}" for term in _plain(" ".join(content_terms(query) or query.split())).split()]

    def test(row: sqlite3.Row) -> bool:
        said = _plain(row["text"])
        return all(term in said for term in terms)

    return test


def _plain(text: str) -> str:
    """Small letters without accents, words apart by one space, a space before the first."""
    letters = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return " " + " ".join(re.findall(r"\w+", letters))


def _comes_from(home: Home, store: Store, source: str) -> Callable[[sqlite3.Row], bool]:
    """The file, folder or conversation that is named. Raises UsageError when nothing came from it."""
    key = source_key(home, Path(source).expanduser())
    with store.locked() as connection:
        paths = [row[0] for row in connection.execute("SELECT path FROM sources")]
        query = "SELECT transcript_id FROM conversations WHERE transcript_id = ? OR transcript_id LIKE ?"
        likely = f"{source}%" if len(source) >= 6 else ""
        talks = {row[0] for row in connection.execute(query, (source, likely))}
    names = {path for path in paths if path in (key, source) or path.startswith((f"{key}/", f"{source.rstrip('/')}/"))}
    names = names or {path for path in paths if path.endswith(f"/{source}")}
    if not names and not talks:
        raise UsageError(f"{source}: nothing in the memory came from it; see where memories come from: molt memory ls")
    return lambda row: row["path"] in names or row["transcript_id"] in talks


def _within(since: str, until: str) -> Callable[[sqlite3.Row], bool]:
    """The days from ``since`` to ``until``, both included, as the person's clock has them."""
    first, last = parse_day(since, "since") if since else date.min, parse_day(until, "until") if until else date.max
    if first > last:
        raise UsageError(f"--since {since} is after --until {until}; exchange them")

    def test(row: sqlite3.Row) -> bool:
        day = local_day(row["timestamp"])
        return day is not None and first <= day <= last

    return test


def local_day(timestamp: str) -> date | None:
    """The day of a time as the person's clock had it; of a mere date that day. None where no time is known."""
    try:
        if len(timestamp) == 10:
            return date.fromisoformat(timestamp)
        moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone().date()


def parse_day(value: str, name: str) -> date:
    """The day that an option names. Raises UsageError."""
    if value.endswith("d") and value[:-1].isdigit():
        return (datetime.combine(date.today(), time()) - timedelta(days=int(value[:-1]))).date()
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise UsageError(f"--{name} {value}: is no day; write 2026-02-14, or 7d for seven days ago") from None
