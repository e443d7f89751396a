"""Reads LoCoMo (Maharana et al. 2024): two people who talk over months, and questions on what they said.

The adversarial questions (category 5) have no answer in the conversation and are left out. Evidence names turns, as
"D3:11", sometimes several in one string. A turn is one chunk: who speaks, what they say, and of a picture its caption
and the words it was searched by.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory.chunk import Chunk
from memory.errors import UsageError
from memory.evaluate.model import Haystack, Question, Talk, read_records
from memory.transcripts.model import Role, Transcript, Turn

KINDS = {1: "several turns", 2: "time", 3: "open", 4: "one turn"}
_SESSION = re.compile(r"session_(\d+)")
_TURN = re.compile(r"D:?(\d+):(\d+)")


def read_locomo(path: Path) -> list[Haystack]:
    """One haystack a conversation. Raises UsageError for a file of another form."""
    found = []
    for number, record in enumerate(read_records(path, "LoCoMo")):
        try:
            found.append(_haystack(path, record, str(record.get("sample_id", number))))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"{path}: record {number + 1} is not LoCoMo's ({error!r}); give its published file"
            ) from error
    return found


def _haystack(path: Path, record: dict[str, Any], name: str) -> Haystack:
    talks = sorted(_talks(path, record["conversation"], name), key=lambda talk: talk.transcript.started_at)
    last = max(datetime.fromisoformat(talk.transcript.started_at) for talk in talks)
    known = {turn.id for talk in talks for turn in talk.transcript.turns}
    questions = []
    for row in record["qa"]:
        turns = {f"D{int(one[0])}:{int(one[1])}" for text in row.get("evidence", []) for one in _TURN.findall(text)}
        turns &= known
        if row["category"] in KINDS and turns:
            sessions = frozenset(f"{name} {turn[1:].partition(':')[0]}" for turn in turns)
            kind = KINDS[row["category"]]
            questions.append(Question(str(row["question"]), last, sessions, frozenset(turns), kind))
    return Haystack(name, tuple(talks), tuple(questions))


def _talks(path: Path, conversation: dict[str, Any], name: str) -> Iterator[Talk]:
    for key, rows in conversation.items():
        if not (match := _SESSION.fullmatch(key)) or not rows:
            continue
        moment = datetime.strptime(conversation[f"{key}_date_time"].upper(), "%I:%M %p ON %d %B, %Y").replace(
            tzinfo=UTC
        )
        turns, chunks = [], []
        for number, row in enumerate(rows, 1):
            role: Role = "user" if row["speaker"] == conversation["speaker_a"] else "assistant"
            picture = "; ".join(filter(None, (row.get("blip_caption"), row.get("query"))))
            text = f"{row['speaker']}: {row['text']}" + (f" [{picture}]" if picture else "")
            turns.append(Turn(row["dia_id"], role, text, number, timestamp=moment.isoformat()))
            chunks.append(
                Chunk(
                    text,
                    text,
                    "exchange",
                    line_start=number,
                    line_end=number,
                    message_id=row["dia_id"],
                    message_ids=(row["dia_id"],),
                    timestamp=moment.isoformat(),
                )
            )
        transcript = Transcript(f"{name} {match[1]}", "locomo", path, tuple(turns), started_at=moment.isoformat())
        yield Talk(transcript, tuple(chunks))
