"""Conversations and their turns in the store: put in, taken out, and handed out again as they were read."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from memory.store import Store, in_parts, marks
from memory.transcripts.model import Alternative, Label, ToolCall, Transcript, Turn

_WITH_SOURCE = "SELECT c.*, s.path AS source_path, s.in_home FROM conversations c JOIN sources s ON s.id = c.source_id"
_TURN_COLUMNS = (
    "conversation_id, position, id, role, text, line, rationale, timestamp, trust, label, spoken_by, base_sha256,"
    " shown_memories, approved, edited_text, stopped, tool_calls, pasted"
)


def conversations(store: Store) -> Iterator[Transcript]:
    """Every conversation with its turns, oldest first; each is read when it is asked for."""
    with store.locked() as connection:
        rows = connection.execute(f"{_WITH_SOURCE} ORDER BY c.started_at, c.transcript_id").fetchall()
    for row in rows:
        yield _transcript(store, row)


def conversation(store: Store, transcript_id: str) -> Transcript | None:
    """One conversation by its id; None when it is not known."""
    with store.locked() as connection:
        row = connection.execute(f"{_WITH_SOURCE} WHERE c.transcript_id = ?", (transcript_id,)).fetchone()
    return _transcript(store, row) if row else None


def conversation_ids(store: Store, source_path: str) -> list[str]:
    """The ids of the conversations that a file gave."""
    query = "SELECT c.transcript_id FROM conversations c JOIN sources s ON s.id = c.source_id WHERE s.path = ?"
    with store.locked() as connection:
        return [row[0] for row in connection.execute(query, (source_path,))]


def redactions_of(store: Store, transcript_id: str) -> dict[str, int] | None:
    """How much was taken out of a stored conversation, by kind; None when it was stored before texts were scrubbed."""
    with store.locked() as connection:
        query = "SELECT redactions FROM conversations WHERE transcript_id = ?"
        row = connection.execute(query, (transcript_id,)).fetchone()
    return dict(json.loads(row[0])) if row and row[0] else None


def unscrubbed_ids(store: Store) -> list[str]:
    """The ids of conversations that were stored before texts were scrubbed."""
    with store.locked() as connection:
        return [row[0] for row in connection.execute("SELECT transcript_id FROM conversations WHERE redactions = ''")]


def source_of(store: Store, transcript_id: str) -> str:
    """The path, as stored, of the file that a stored conversation came from."""
    with store.locked() as connection:
        row = connection.execute(f"{_WITH_SOURCE} WHERE c.transcript_id = ?", (transcript_id,)).fetchone()
    return str(row["source_path"])


def conversation_source(store: Store, transcript_id: str) -> tuple[str, int] | None:
    """(path, number of turns) of a stored conversation; None when it is not known."""
    with store.locked() as connection:
        row = connection.execute(
            "SELECT s.path, (SELECT count(*) FROM turns t WHERE t.conversation_id = c.id) AS turns"
            " FROM conversations c JOIN sources s ON s.id = c.source_id WHERE c.transcript_id = ?",
            (transcript_id,),
        ).fetchone()
    return (row["path"], row["turns"]) if row else None


def turn_labels(store: Store, transcript_id: str) -> dict[str, Label]:
    """Label by message id of a stored conversation."""
    query = "SELECT t.id, t.label FROM turns t JOIN conversations c ON c.id = t.conversation_id"
    with store.locked() as connection:
        rows = connection.execute(f"{query} WHERE c.transcript_id = ?", (transcript_id,)).fetchall()
    return {row["id"]: row["label"] for row in rows}


def turn_ids_elsewhere(store: Store, ids: Iterable[str], transcript_id: str) -> set[str]:
    """Those of ``ids`` that another conversation holds already (a resumed session repeats its beginning)."""
    found: set[str] = set()
    with store.locked() as connection:
        for part in in_parts(list(ids)):
            rows = connection.execute(
                "SELECT DISTINCT t.id FROM turns t JOIN conversations c ON c.id = t.conversation_id"  # noqa: S608 - only marks are put in
                f" WHERE t.id IN ({marks(part)}) AND c.transcript_id != ? AND c.format = 'claude-code'",
                (*part, transcript_id),
            )
            found.update(row["id"] for row in rows)
    return found


def put_rows(
    connection: sqlite3.Connection,
    source_id: int,
    transcript: Transcript,
    redactions: Mapping[str, int] | None,
    *,
    first: int = 0,
) -> int:
    """Make the conversation's rows these and return its number; turns before ``first`` are in the store already."""
    connection.execute(
        "INSERT INTO conversations (source_id, transcript_id, format, own, started_at, title, dropped, alternatives,"
        " redactions, resume_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (transcript_id) DO UPDATE SET"
        " source_id = excluded.source_id, format = excluded.format, own = excluded.own,"
        " started_at = excluded.started_at, title = excluded.title, dropped = excluded.dropped,"
        " alternatives = excluded.alternatives, redactions = excluded.redactions, resume_at = excluded.resume_at",
        (
            *(source_id, transcript.id, transcript.format, transcript.own, transcript.started_at, transcript.title),
            json.dumps(transcript.dropped),
            json.dumps([(one.message_id, one.text, one.rationale) for one in transcript.alternatives]),
            "" if redactions is None else json.dumps(redactions),
            json.dumps(transcript.resume_at),
        ),
    )
    row = connection.execute("SELECT id FROM conversations WHERE transcript_id = ?", (transcript.id,)).fetchone()
    conversation_id = int(row[0])
    connection.execute("DELETE FROM turns WHERE conversation_id = ? AND position >= ?", (conversation_id, first))
    connection.executemany(
        f"INSERT INTO turns ({_TURN_COLUMNS}) VALUES ({marks(range(18))})",  # noqa: S608 - only marks are put in
        [
            (
                *(conversation_id, position, turn.id, turn.role, turn.text, turn.line, turn.rationale, turn.timestamp),
                *(turn.trust, turn.label, turn.spoken_by, turn.base_sha256, json.dumps(turn.shown_memories)),
                *(turn.approved, turn.edited_text, turn.stopped),
                *(json.dumps([_call(call) for call in turn.tool_calls]), json.dumps(turn.pasted)),
            )
            for position, turn in enumerate(transcript.turns)
            if position >= first
        ],
    )
    return conversation_id


def _call(call: ToolCall) -> tuple[str, str, str, str, bool]:
    return call.id, call.name, call.arguments, call.result, call.failed


def forget_turns(connection: sqlite3.Connection, conversation_id: int, message_ids: Sequence[str], text: str) -> None:
    """Leave ``text`` in the place of these messages, and nothing of what was said in them or instead of them."""
    connection.executemany(
        "UPDATE turns SET text = ?, rationale = '', edited_text = NULL, approved = NULL, tool_calls = '[]',"
        " pasted = '[]' WHERE conversation_id = ? AND id = ?",
        [(text, conversation_id, message_id) for message_id in message_ids],
    )
    query = "SELECT alternatives FROM conversations WHERE id = ?"
    others = json.loads(connection.execute(query, (conversation_id,)).fetchone()[0])
    kept = [one for one in others if one[0] not in message_ids]
    connection.execute("UPDATE conversations SET alternatives = ? WHERE id = ?", (json.dumps(kept), conversation_id))


def _transcript(store: Store, row: sqlite3.Row) -> Transcript:
    with store.locked() as connection:
        turns = connection.execute(
            "SELECT * FROM turns WHERE conversation_id = ? ORDER BY position", (row["id"],)
        ).fetchall()
    return Transcript(
        id=row["transcript_id"],
        format=row["format"],
        path=store.path.parent / row["source_path"],
        turns=tuple(_turn(turn) for turn in turns),
        own=bool(row["own"]),
        started_at=row["started_at"],
        title=row["title"],
        dropped=json.loads(row["dropped"]),
        alternatives=tuple(Alternative(*one) for one in json.loads(row["alternatives"])),
        resume_at=tuple(json.loads(row["resume_at"])),
    )


def _turn(row: sqlite3.Row) -> Turn:
    return Turn(
        id=row["id"],
        role=row["role"],
        text=row["text"],
        line=row["line"],
        rationale=row["rationale"],
        timestamp=row["timestamp"],
        trust=row["trust"],
        label=row["label"],
        spoken_by=row["spoken_by"],
        base_sha256=row["base_sha256"],
        shown_memories=tuple(json.loads(row["shown_memories"])),
        approved=None if row["approved"] is None else bool(row["approved"]),
        edited_text=row["edited_text"],
        stopped=bool(row["stopped"]),
        tool_calls=tuple(ToolCall(*call) for call in json.loads(row["tool_calls"])),
        pasted=tuple((start, end) for start, end in json.loads(row["pasted"])),
    )
