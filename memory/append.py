"""An appended log read from where it was left, wherever that gives what reading the whole file would."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from memory.conversations import conversation, conversation_ids
from memory.errors import ResumeError
from memory.scrub.conversation import has_placeholders
from memory.scrub.spans import PLACEHOLDER
from memory.sources import SourceFile
from memory.store import Store
from memory.transcripts.model import Skipped, Transcript
from memory.transcripts.read import open_log


@dataclass(frozen=True, slots=True)
class Tail:
    """The new part of a log: the first ``kept`` turns of the ``known`` conversation stay, those of ``new`` follow."""

    known: Transcript
    kept: int
    new: Transcript
    skipped: tuple[Skipped, ...]
    dropped: Counter[str]


def tail_of(store: Store, source: SourceFile, path: Path) -> Tail | None:
    """What was appended to a log since it was read; None when only the whole file will do.

    That is so where the earlier part matters to the later one: placeholders go on counting, and a reply to words that
    stood in an earlier paste or tool result is not trusted. Raises OSError and the reader's errors.
    """
    ids = conversation_ids(store, source.path)
    known = conversation(store, ids[0]) if len(ids) == 1 else None
    if known is None or known.format != source.format or known.resume_at == (0, 0) or known.alternatives:
        return None
    kept = [turn for turn in known.turns if turn.line <= known.resume_at[1]]
    if kept != list(known.turns[: len(kept)]) or PLACEHOLDER.search(known.title):
        return None
    if any(turn.pasted or turn.trust == "untrusted" or has_placeholders(turn) for turn in kept):
        return None
    try:
        reading = open_log(path, known.resume_at)
        found = list(islice(reading.conversations, 2))
    except ResumeError:
        return None
    if len(found) != 1 or not found[0].turns or found[0].id not in ("", known.id):
        return None
    return Tail(known, len(kept), found[0], tuple(reading.skipped), reading.dropped)
