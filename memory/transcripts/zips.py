"""The logs in a zip, as the exports of claude.ai and ChatGPT come: read where they lie, never written to disk."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from memory.errors import UsageError
from memory.transcripts.lines import LogFile
from memory.transcripts.model import Reading, Skipped, Transcript

LOG_SUFFIXES = (".json", ".jsonl", ".ndjson")
MAX_RATIO = 200
"""JSON shrinks 5 to 30 times; what shrinks more than this is no log but a bomb."""
SMALL_BYTES = 16 * 1024 * 1024
"""Below this size any ratio is harmless."""
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

ReadLog = Callable[[LogFile, Reading], Iterator[Transcript]]


def read(path: Path, reading: Reading, read_log: ReadLog) -> Iterator[Transcript]:
    """The conversations of all logs in the zip, by name; ``read_log`` raises UsageError for a member that is no log.

    Raises UsageError when the file is no readable zip and OSError when it cannot be opened.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise UsageError(f"{path}: a broken zip ({error}); download the export again") from error
    with archive:
        allowed = max(path.stat().st_size * MAX_RATIO, SMALL_BYTES)
        for member in sorted(archive.infolist(), key=lambda info: info.filename):
            if member.is_dir():
                continue
            shown = path / member.filename
            if not member.filename.lower().endswith(LOG_SUFFIXES) or member.filename.startswith("__MACOSX/"):
                reading.dropped["other file in the zip"] += 1
                continue
            reason = _refused(member, allowed)
            if reason:
                reading.skipped.append(Skipped(shown, 0, reason))
                continue
            allowed -= member.file_size
            try:
                yield from read_log(LogFile(shown, partial(_open, archive, member)), reading)
            except UsageError:
                reading.dropped["other file in the zip"] += 1
            except DAMAGED as error:
                reading.skipped.append(Skipped(shown, 0, f"damaged in the zip ({error or type(error).__name__})"))


def _open(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    return archive.open(member)


def _refused(member: zipfile.ZipInfo, allowed: int) -> str:
    """Why a member is not opened; "" when it may be."""
    if member.flag_bits & 1:
        return "encrypted; unpack it yourself"
    is_bomb = member.file_size > SMALL_BYTES and member.file_size > max(member.compress_size, 1) * MAX_RATIO
    if is_bomb or member.file_size > allowed:
        return f"{member.file_size:,} bytes from {member.compress_size:,}: a zip bomb"
    return ""
