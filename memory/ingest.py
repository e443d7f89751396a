"""Files and folders into the memory: found, told apart by content, compared with what is known, stored one by one."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from memory.chunk import chunk_document, chunk_transcript
from memory.errors import HomeError, UsageError
from memory.home import Home
from memory.sources import (
    Changed,
    SourceFile,
    conversation_source,
    home_sources,
    known_source,
    put_source,
    remove_source,
    touch_source,
    turn_ids_elsewhere,
)
from memory.store import Store
from memory.transcripts.model import Label, Skipped, Transcript, Turn
from memory.transcripts.read import detect_format, read_transcript
from memory.transcripts.writer import FORGOTTEN
from memory.values import IngestProgress, IngestReport

ProgressCallback = Callable[[IngestProgress], None]

MARKDOWN_SUFFIXES = {".md", ".markdown", ".mdx"}
TEXT_SUFFIXES = {".txt", ".text", ".rst", ".org"}
LOG_SUFFIXES = {".jsonl", ".json", ".ndjson"}
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
"""A longer text is no note; it would be thousands of chunks that nobody wrote to be remembered."""


def ingest(
    home: Home,
    store: Store,
    paths: Sequence[Path],
    *,
    label: Label = "normal",
    dry_run: bool = False,
    on_progress: ProgressCallback | None = None,
) -> IngestReport:
    """Read all ``paths`` into the store; see ``Memory.ingest``. A dry run does everything and undoes it at the end."""
    run = _Run(home, store, label)
    run.report.dry_run = dry_run
    files = list(dict.fromkeys(_files_in(paths, run.report)))
    if dry_run:
        with store.transaction(keep=False):
            run.read(files, on_progress)
    else:
        run.read(files, on_progress)
    return run.report


def sync(home: Home, store: Store) -> IngestReport:
    """MEMORY.md, the notes and the sessions of the home; what came from files that are gone goes too."""
    run = _Run(home, store)
    files = [home.memory_file] if home.memory_file.is_file() else []
    files += sorted(path for path in home.notes_dir.rglob("*") if path.suffix in MARKDOWN_SUFFIXES and path.is_file())
    files += sorted(home.sessions_dir.glob("*.jsonl"))
    run.read(files)
    present = {source_key(home, path) for path in files}
    for source in home_sources(store):
        if source.path not in present and not (home.root / source.path).exists():
            run.report.removed += remove_source(store, source.path)
    return run.report


def sync_file(home: Home, store: Store, path: Path) -> IngestReport:
    """One file of the home after it was edited."""
    run = _Run(home, store)
    run.read([path])
    return run.report


def source_key(home: Home, path: Path) -> str:
    """How a file is named in the store: relative to the home for its own files, so that a home can be moved."""
    whole = path.resolve()
    root = home.root.resolve()
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else str(whole)


def message_key(transcript_id: str, message_id: str) -> str:
    """What is digested to remember that one message was forgotten."""
    return f"message {transcript_id} {message_id}"


def _files_in(paths: Sequence[Path], report: IngestReport) -> Iterator[Path]:
    """Files given and files below folders given, in order; hidden ones in folders are passed over."""
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))
        elif path.is_file():
            yield path
        else:
            report.skipped.append(Skipped(path, 0, "no such file" if not path.exists() else "not a file or folder"))


class _Run:
    """One pass over files with its report."""

    def __init__(self, home: Home, store: Store, label: Label = "normal") -> None:
        self.report = IngestReport()
        self._home = home
        self._store = store
        self._label = label
        self._forgotten = store.forgotten()

    def read(self, files: Sequence[Path], on_progress: ProgressCallback | None = None) -> None:
        """Read each file; what cannot be read is one line of the report."""
        for done, path in enumerate(files):
            if on_progress:
                on_progress(IngestProgress("reading", done, len(files), path.name))
            try:
                self._read_file(path)
            except OSError as error:
                self.report.skipped.append(Skipped(path, 0, f"cannot be read ({error.strerror})"))
            except (HomeError, UsageError) as error:
                self.report.skipped.append(Skipped(path, 0, str(error)))
        if on_progress and files:
            on_progress(IngestProgress("reading", len(files), len(files)))

    def _read_file(self, path: Path) -> None:
        """Unchanged files cost a look at size and time, touched ones a hash, changed ones a diff."""
        status = path.stat()
        key = source_key(self._home, path)
        known = known_source(self._store, key)
        label = self._label
        if known and label == "normal":
            label = known.label  # what was once marked stays marked until it is marked otherwise
        self.report.files += 1
        self.report.paths.append(path)
        if known and (known.size_bytes, known.mtime_ns, known.label) == (status.st_size, status.st_mtime_ns, label):
            self.report.unchanged += 1
            return
        kind = _kind_of(path, status.st_size)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        source = SourceFile(key, kind, sha256, status.st_size, status.st_mtime_ns, label, not Path(key).is_absolute())
        if known and (known.sha256, known.label) == (sha256, label):
            touch_source(self._store, source)
            self.report.unchanged += 1
        elif kind in ("markdown", "text"):
            self._store_document(source, path)
        else:
            transcript = read_transcript(path)
            with self._store.transaction():
                self._store_transcript(source, transcript)

    def _store_document(self, source: SourceFile, path: Path) -> None:
        content = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\0", "")
        chunks = chunk_document(content, path, label=source.label)
        if self._forgotten:
            chunks = [chunk for chunk in chunks if self._store.digest(chunk.text) not in self._forgotten]
        self._count(source.format, put_source(self._store, source, None, chunks))

    def _store_transcript(self, source: SourceFile, transcript: Transcript) -> None:
        """Store a conversation once: of two copies the longer stays; turns that another session holds are left out."""
        report = self.report
        report.skipped.extend(transcript.skipped)
        for kind, count in transcript.dropped.items():
            report.dropped[kind] = report.dropped.get(kind, 0) + count
        elsewhere = conversation_source(self._store, transcript.id)
        if elsewhere and elsewhere[0] != source.path:
            if (self._home.root / elsewhere[0]).exists() and elsewhere[1] >= len(transcript.turns):
                report.duplicates += 1
                return
            remove_source(self._store, elsewhere[0])
        transcript = replace(transcript, turns=tuple(self._kept_turns(transcript, source.label)))
        changed = put_source(self._store, source, transcript, chunk_transcript(transcript, source.label))
        self._count(transcript.format, changed)
        report.conversations += 1
        report.turns += len(transcript.turns)
        report.human_turns += sum(1 for turn in transcript.turns if turn.role == "user")
        report.agent_turns += sum(1 for turn in transcript.turns if turn.role == "assistant")
        report.rationales += sum(1 for turn in transcript.turns if turn.rationale)

    def _kept_turns(self, transcript: Transcript, label: Label) -> Iterator[Turn]:
        """The turns as they may be kept: labelled, none twice, and without the texts that were forgotten before."""
        repeated: set[str] = set()
        if transcript.format == "claude-code":
            repeated = turn_ids_elsewhere(self._store, [turn.id for turn in transcript.turns], transcript.id)
        for turn in transcript.turns:
            if turn.id in repeated:
                self.report.dropped["in another session"] = self.report.dropped.get("in another session", 0) + 1
            elif self._is_forgotten(transcript, turn):
                yield replace(turn, text=FORGOTTEN, rationale="", edited_text=None, approved=None, label=label)
            else:
                yield replace(turn, label=label)

    def _is_forgotten(self, transcript: Transcript, turn: Turn) -> bool:
        if turn.text == FORGOTTEN:
            return True
        return bool(self._forgotten) and self._store.digest(message_key(transcript.id, turn.id)) in self._forgotten

    def _count(self, kind: str, changed: Changed) -> None:
        self.report.formats[kind] = self.report.formats.get(kind, 0) + 1
        self.report.memories += changed.added
        self.report.removed += changed.removed


def _kind_of(path: Path, size_bytes: int) -> str:
    """markdown, text, or a log format by content. Raises UsageError with the reason for anything else."""
    suffix = path.suffix.lower()
    if suffix in LOG_SUFFIXES:
        kind = detect_format(path)
        if not kind:
            raise UsageError("empty file" if not size_bytes else "not a log in a known format")
        return kind
    if suffix in MARKDOWN_SUFFIXES or suffix in TEXT_SUFFIXES or not suffix:
        with path.open("rb") as file:
            head = file.read(4096)
        if b"\0" in head:
            raise UsageError("not text")
        if head.lstrip().startswith(b"{") and (kind := detect_format(path)):
            return kind
        if size_bytes > MAX_DOCUMENT_BYTES:
            raise UsageError(f"{size_bytes:,} bytes, over the limit of {MAX_DOCUMENT_BYTES:,} for a document")
        return "markdown" if suffix in MARKDOWN_SUFFIXES else "text"
    raise UsageError(f"files of the kind {suffix} are not read")
