"""What a published set of questions over conversations is read into, and how its file is opened."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from memory.chunk import Chunk
from memory.errors import UsageError
from memory.transcripts.model import Transcript


@dataclass(frozen=True, slots=True)
class Question:
    """One question: when it is asked, and the ids of the conversations and messages that hold its answer."""

    text: str
    asked_at: datetime
    talks: frozenset[str]
    messages: frozenset[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation with the chunks it is remembered by."""

    transcript: Transcript
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Haystack:
    """Conversations in which all the questions are asked; weights are fitted without the one they are measured on."""

    name: str
    talks: tuple[Talk, ...]
    questions: tuple[Question, ...]


def read_records(path: Path, what: str) -> list[dict[str, Any]]:
    """The JSON list of objects in a file. Raises UsageError where it is none."""
    try:
        records = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give the file of {what}") from error
    except ValueError as error:
        raise UsageError(f"{path}: no JSON ({error}); give the file of {what} as it was published") from error
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise UsageError(f"{path}: not a list of records; give the file of {what} as it was published")
    return records
