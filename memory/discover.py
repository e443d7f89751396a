"""Which files are to be read: those given, those below folders, and the logs that other programs keep here."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from memory.errors import UsageError
from memory.transcripts.model import Skipped
from memory.transcripts.read import detect_format

MARKDOWN_SUFFIXES = {".md", ".markdown", ".mdx"}
TEXT_SUFFIXES = {".txt", ".text", ".rst", ".org"}
LOG_SUFFIXES = {".jsonl", ".json", ".ndjson", ".zip"}
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
"""A longer text is no note; it would be thousands of chunks that nobody wrote to be remembered."""
_KINDS = {
    stat.S_ISFIFO: "a pipe, not a file",
    stat.S_ISSOCK: "a socket, not a file",
    stat.S_ISCHR: "a device, not a file",
    stat.S_ISBLK: "a device, not a file",
}


def log_folders(environment: Mapping[str, str]) -> list[Path]:
    """Where Claude Code and OpenClaw keep their logs, whether or not they do here.

    ``environment``: HOME, and CLAUDE_CONFIG_DIR where Claude Code was told to live elsewhere.
    """
    home = Path(environment.get("HOME") or Path.home())
    claude = Path(environment.get("CLAUDE_CONFIG_DIR") or home / ".claude").expanduser()
    agents = home / ".openclaw" / "agents"
    try:
        names = sorted(entry.name for entry in agents.iterdir())
    except OSError:
        names = []
    return [claude / "projects", *(agents / name / "sessions" for name in names or ["*"])]


def discover(environment: Mapping[str, str]) -> list[Path]:
    """The folders of ``log_folders`` that are there. Raises UsageError that names the places when there is none."""
    places = log_folders(environment)
    found = [place for place in places if place.is_dir()]
    if not found:
        raise UsageError(f"no logs found in {' or '.join(map(str, places))}; give a path: molt ingest PATH")
    return found


def files_in(paths: Sequence[Path], skipped: list[Skipped]) -> Iterator[Path]:
    """Files given and files below folders given, in order; what cannot be looked into is appended to ``skipped``.

    Hidden files in folders are passed over. Links to folders are not followed, so that no loop has an end to find.
    """
    for path in paths:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            skipped.append(Skipped(path, 0, "no such file"))
        except OSError as error:
            skipped.append(Skipped(path, 0, f"cannot be read ({error.strerror})"))
        else:
            if stat.S_ISDIR(mode):
                yield from _below(path, skipped)
            elif reason := odd_kind(mode):
                skipped.append(Skipped(path, 0, reason))
            else:
                yield path


def _below(root: Path, skipped: list[Skipped]) -> Iterator[Path]:
    def cannot(error: OSError) -> None:
        skipped.append(Skipped(Path(error.filename or root), 0, f"cannot be read ({error.strerror})"))

    for folder, folders, names in os.walk(root, onerror=cannot):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (Path(folder) / name).is_symlink():
                skipped.append(Skipped(Path(folder) / name, 0, "a link to a folder; give the folder itself"))
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))


def odd_kind(mode: int) -> str:
    """What a thing is that is no regular file and may never be opened (a pipe would wait for ever); "" for a file."""
    return next((reason for is_kind, reason in _KINDS.items() if is_kind(mode)), "")


def kind_of(path: Path, size_bytes: int) -> str:
    """markdown, text, zip or a log format, by content. Raises UsageError with the reason for anything else, OSError."""
    suffix = path.suffix.lower()
    if suffix in LOG_SUFFIXES:
        kind = detect_format(path)
        if not kind:
            raise UsageError("not a log in a known format" if size_bytes else "empty file")
        return kind
    if suffix in MARKDOWN_SUFFIXES or suffix in TEXT_SUFFIXES or not suffix:
        with path.open("rb") as file:
            head = file.read(4096)
        if b"\0" in head:
            raise UsageError("not text")
        if head.lstrip().startswith((b"{", b"[")) and (kind := detect_format(path)):
            return kind
        if size_bytes > MAX_DOCUMENT_BYTES:
            raise UsageError(f"{size_bytes:,} bytes, over the limit of {MAX_DOCUMENT_BYTES:,} for a document")
        return "markdown" if suffix in MARKDOWN_SUFFIXES else "text"
    raise UsageError(f"files of the kind {suffix} are not read")
