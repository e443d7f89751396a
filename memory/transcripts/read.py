"""Opens a log of any format that is known: one conversation after another, as they are asked for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from memory.errors import HomeError, ResumeError, UsageError
from memory.transcripts import chatgpt, claude_ai, claude_code, gptme, openai_messages, pi, sharegpt, zips
from memory.transcripts.detect import BARE, Layout, detect, element_format
from memory.transcripts.elements import read_elements
from memory.transcripts.lines import LogFile, read_records
from memory.transcripts.model import Reading, Skipped, Transcript

_ONE_A_FILE: dict[str, Callable[[LogFile, Reading, tuple[int, int]], Iterator[Transcript]]] = {
    "pi": pi.read,
    "claude-code": claude_code.read,
    "gptme": gptme.read,
}
_ONE_A_RECORD: dict[str, Callable[[dict[str, Any], Path, int], Iterator[Transcript]]] = {
    "chatgpt": chatgpt.read,
    "claude-ai": claude_ai.read,
    "sharegpt": sharegpt.read,
    "openai": openai_messages.read,
}
_RESUMABLE = ("pi", "claude-code")


def detect_format(path: Path) -> str:
    """``pi``, ``claude-code``, ``claude-ai``, ``chatgpt``, ``sharegpt``, ``openai``, ``gptme``, ``zip``, or "".

    Raises HomeError when the file cannot be opened.
    """
    try:
        found, _ = detect(LogFile.on_disk(path))
    except OSError as error:
        raise _cannot_be_read(path, error) from error
    return "openai" if found == BARE else found


def open_log(path: Path, start: tuple[int, int] = (0, 0)) -> Reading:
    """Begin to read a log of any known format; its conversations come one by one as they are asked for.

    ``start`` is the (byte offset, lines before it) of an earlier ``Transcript.resume_at``: only what follows is read,
    and a pi session whose header was not seen has no id. Damaged lines never raise. Raises UsageError for an unknown
    format and HomeError for a file that cannot be opened; iterating raises ResumeError when the part from ``start`` on
    cannot be understood alone, UsageError for a broken zip and HomeError when the disk fails.
    """
    try:
        found, layout = detect(LogFile.on_disk(path))
    except OSError as error:
        raise _cannot_be_read(path, error) from error
    if not found:
        raise UsageError(f"{path}: not a log in a known format")
    if start != (0, 0) and found not in _RESUMABLE:
        raise ResumeError(f"{path}: {found} logs are read whole")
    reading = Reading(format="openai" if found == BARE else found, conversations=iter(()))
    if found == "zip":
        inside = zips.read(path, reading, _member)
    else:
        inside = _read(LogFile.on_disk(path), reading, found, layout, start)
    reading.conversations = _guarded(path, inside)
    return reading


def read_transcript(path: Path) -> Transcript:
    """Read the one conversation of a file.

    Damaged lines never raise: they are in ``Transcript.skipped``. Raises UsageError for an unknown format, for no
    conversation and for several; HomeError for a file that cannot be opened.
    """
    if not detect_format(path):
        raise UsageError(f"{path}: not a transcript in a known format")
    conversations = open_log(path).conversations
    first = next(conversations, None)
    if first is None:
        raise UsageError(f"{path}: no conversation in it; sub-agents' logs belong to the session that started them")
    if next(conversations, None) is not None:
        raise UsageError(f"{path}: several conversations in it; ingest it instead")
    return first


def _guarded(path: Path, conversations: Iterator[Transcript]) -> Iterator[Transcript]:
    try:
        yield from conversations
    except OSError as error:
        raise _cannot_be_read(path, error) from error


def _cannot_be_read(path: Path, error: OSError) -> HomeError:
    return HomeError(f"{path}: cannot be read ({error.strerror}); check that it exists and is yours")


def _member(log: LogFile, reading: Reading) -> Iterator[Transcript]:
    """The conversations of one log in a zip. Raises UsageError when it is none."""
    found, layout = detect(log)
    if not found or found == "zip":
        raise UsageError(f"{log.path}: not a log in a known format")
    return _read(log, reading, found, layout, (0, 0))


def _read(log: LogFile, reading: Reading, found: str, layout: Layout, start: tuple[int, int]) -> Iterator[Transcript]:
    if found in _ONE_A_FILE and layout == "lines":
        yield from _ONE_A_FILE[found](log, reading, start)
        return
    records = _records(log, layout, reading.skipped)
    if found == BARE:
        yield from openai_messages.read_bare(records, log.path, by_line=layout == "lines")
        return
    for line, record in records:
        if element_format(record) != found and not _is_empty(record):
            reading.skipped.append(Skipped(log.path, line, f"not a conversation in the form of {found}"))
            continue
        for transcript in _ONE_A_RECORD[found](record, log.path, line):
            if transcript.turns:
                yield transcript
            else:
                reading.dropped["empty conversation"] += 1
                reading.dropped.update(transcript.dropped)


def _records(log: LogFile, layout: Layout, skipped: list[Skipped]) -> Iterator[tuple[int, dict[str, Any]]]:
    if layout == "elements":
        yield from read_elements(log, skipped)
    else:
        for line, _, record in read_records(log, skipped):
            yield line, record


def _is_empty(record: dict[str, Any]) -> bool:
    """A conversation in which nothing was said yet gives no format away."""
    return any(record.get(key) == [] for key in ("messages", "conversations", "items"))
