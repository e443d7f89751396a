"""Reads LongMemEval (Wu et al. 2025): each question with its own sessions between a person and an assistant.

Sessions are cut into chunks as any conversation is. A question whose id ends in "_abs" has no answer in the sessions
and is left out.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory.chunk import chunk_transcript
from memory.errors import UsageError
from memory.evaluate.model import Haystack, Question, Talk, read_records
from memory.transcripts.model import Transcript, Turn


def read_longmemeval(path: Path) -> list[Haystack]:
    """One haystack a question. Raises UsageError for a file of another form."""
    found = []
    for number, record in enumerate(read_records(path, "LongMemEval"), 1):
        try:
            if not str(record["question_id"]).endswith("_abs"):
                found.append(_haystack(path, record))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"{path}: record {number} is not LongMemEval's ({error!r}); give its published file"
            ) from error
    return found


def _haystack(path: Path, record: dict[str, Any]) -> Haystack:
    sessions = record["haystack_sessions"]
    talks: dict[str, Talk] = {}
    answers: set[str] = set()
    for session_id, moment, rows in zip(
        record["haystack_session_ids"], record["haystack_dates"], sessions, strict=True
    ):
        started = _moment(moment).isoformat()
        turns = []
        for number, row in enumerate(rows, 1):
            message = f"{session_id}:{number}"
            turns.append(Turn(message, row["role"], str(row["content"]), number, timestamp=started))
            if row.get("has_answer"):
                answers.add(message)
        transcript = Transcript(str(session_id), "longmemeval", path, tuple(turns), started_at=started)
        talks[transcript.id] = Talk(transcript, tuple(chunk_transcript(transcript)))
    question = Question(
        str(record["question"]),
        _moment(record["question_date"]),
        frozenset(map(str, record["answer_session_ids"])),
        frozenset(answers),
        str(record["question_type"]),
    )
    return Haystack(str(record["question_id"]), tuple(talks.values()), (question,))


def _moment(text: str) -> datetime:
    """A time as it is written there: 2023/05/20 (Sat) 02:21."""
    day, _, rest = text.partition(" ")
    clock = rest.rpartition(" ")[2] or "00:00"
    return datetime.strptime(f"{day} {clock}", "%Y/%m/%d %H:%M").replace(tzinfo=UTC)
