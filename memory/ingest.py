"""Files and folders into the memory: compared with what is known, labelled, scrubbed, stored one by one."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from memory.append import Tail, tail_of
from memory.chunk import chunk_document, chunk_transcript
from memory.conversations import conversation_ids, conversation_source, turn_ids_elsewhere
from memory.discover import MARKDOWN_SUFFIXES, files_in, kind_of, odd_kind
from memory.errors import HomeError, UsageError
from memory.home import Home
from memory.labels import labelled, strictest
from memory.scrub.conversation import scrub_conversation
from memory.sources import (
    Changed,
    SourceFile,
    home_sources,
    known_source,
    note_duplicate,
    put_conversation,
    put_document,
    put_source,
    remove_conversations,
    remove_source,
    touch_source,
)
from memory.store import Store
from memory.telling import long_words, tells
from memory.transcripts.model import Label, Skipped, Transcript, Turn
from memory.transcripts.read import open_log
from memory.transcripts.writer import FORGOTTEN
from memory.upkeep import apply_rules, scrub_stored
from memory.values import IngestProgress, IngestReport, add_counts

ProgressCallback = Callable[[IngestProgress], None]

HASHED_AT_ONCE_BYTES = 1024 * 1024


def ingest(
    home: Home,
    store: Store,
    paths: Sequence[Path],
    *,
    label: Label | None = None,
    dry_run: bool = False,
    on_progress: ProgressCallback | None = None,
) -> IngestReport:
    """Read all ``paths`` into the store; see ``Memory.ingest``.

    A dry run reads all of it, known or not, and undoes everything at the end.
    """
    if not dry_run:
        return _Run(home, store, label).read_all(paths, on_progress)
    with store.transaction(keep=False):
        return _Run(home, store, label, is_rehearsal=True).read_all(paths, on_progress)


def sync(home: Home, store: Store) -> IngestReport:
    """MEMORY.md, who he is, the notes and the sessions of the home; what came from files that are gone goes too."""
    run = _Run(home, store)
    files = home_documents(home)
    files += sorted(home.sessions_dir.glob("*.jsonl"))
    run.read(files)
    present = {source_key(home, path) for path in files}
    for source in home_sources(store):
        if source.path not in present and not (home.root / source.path).exists():
            run.report.removed += remove_source(store, source.path)
    return run.report


def home_documents(home: Home) -> list[Path]:
    """The markdown files that are the home's own: MEMORY.md, the notes, and the identity."""
    files = [home.memory_file] if home.memory_file.is_file() else []
    for folder in (home.notes_dir, home.identity_dir):
        files += sorted(path for path in folder.rglob("*") if path.suffix in MARKDOWN_SUFFIXES and path.is_file())
    return files


def sync_file(home: Home, store: Store, path: Path) -> IngestReport:
    """One file of the home after it was edited; one that is gone leaves the memory."""
    if not path.exists():
        return IngestReport(removed=remove_source(store, source_key(home, path)))
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


class _Run:
    """One pass over files with its report."""

    def __init__(self, home: Home, store: Store, label: Label | None = None, *, is_rehearsal: bool = False) -> None:
        self.report = IngestReport(dry_run=is_rehearsal)
        self._home = home
        self._store = store
        self._label = label
        self._is_rehearsal = is_rehearsal
        scrub_stored(store)
        self._rules = apply_rules(home, store)
        self._forgotten = store.forgotten()

    def read_all(self, paths: Sequence[Path], on_progress: ProgressCallback | None) -> IngestReport:
        """Read files and what is below folders."""
        files = list(dict.fromkeys(files_in(paths, self.report.skipped)))
        self.read(files, on_progress)
        return self.report

    def read(self, files: Sequence[Path], on_progress: ProgressCallback | None = None) -> None:
        """Read each file; what cannot be read is one line of the report, and nothing of it is stored or counted."""
        total = self.report
        for done, path in enumerate(files):
            if on_progress:
                on_progress(IngestProgress("reading", done, len(files), path.name))
            self.report = IngestReport()
            reason = ""
            try:
                self._read_file(path)
            except OSError as error:
                reason = f"cannot be read ({error.strerror or error})"
            except (HomeError, UsageError) as error:
                reason = str(error)
            except UnicodeEncodeError:
                reason = "holds characters that UTF-8 cannot carry"
            except OverflowError as error:
                reason = f"holds a number that is too large to be kept ({error})"
            if reason:
                self.report = IngestReport(files=1, paths=[path], skipped=[Skipped(path, 0, reason)])
            total.add(self.report)
        self.report = total
        if on_progress and files:
            on_progress(IngestProgress("reading", len(files), len(files)))

    def _read_file(self, path: Path) -> None:
        """Unchanged files cost a look at size and time, touched ones a hash, appended ones their new lines."""
        if any("\udc80" <= character <= "\udcff" for character in str(path)):
            raise UsageError("its name is not UTF-8; rename it")
        status = path.stat()
        if reason := odd_kind(status.st_mode):
            raise UsageError(reason)
        key = source_key(self._home, path)
        known = known_source(self._store, key)
        mark = self._label or (known.label if known else "normal")  # once marked, marked until it is marked otherwise
        self.report.files += 1
        self.report.paths.append(path)
        is_known = known is not None and known.sha256 != "" and known.label == mark
        if known and is_known and (known.size_bytes, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
            self._note_unchanged(known)
            if not self._is_rehearsal:
                return
        kind = kind_of(path, status.st_size)
        sha256, beginning = _hashes(path, status.st_size, known.size_bytes if known else 0)
        in_home = not Path(key).is_absolute()
        source = SourceFile(key, kind, sha256, status.st_size, status.st_mtime_ns, mark, in_home)
        if known and is_known and known.sha256 == sha256:
            if known.mtime_ns != source.mtime_ns:
                touch_source(self._store, source)
                self._note_unchanged(known)
            if not self._is_rehearsal:
                return
        with self._store.transaction():
            if known and (known.format in ("markdown", "text")) != (kind in ("markdown", "text")):
                self.report.removed += remove_source(self._store, key)
            if kind in ("markdown", "text"):
                self._store_document(source, path)
            else:
                has_grown = known and is_known and known.sha256 == beginning and known.size_bytes < status.st_size
                tail = tail_of(self._store, source, path) if has_grown and not self._is_rehearsal else None
                if tail is None or not self._store_tail(source, path, tail):
                    self._store_log(source, path)

    def _note_unchanged(self, known: SourceFile) -> None:
        self.report.unchanged += 1
        if not self._is_rehearsal:  # there they are counted as they are read
            self.report.duplicates += known.duplicates

    def _store_document(self, source: SourceFile, path: Path) -> None:
        content = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\0", "")
        chunks = [
            replace(chunk, label=strictest(chunk.label, self._rules.of_text(chunk.heading, chunk.text)))
            for chunk in chunk_document(content, path, label=self._floor(source, path))
        ]
        if self._forgotten:
            chunks = [chunk for chunk in chunks if self._store.digest(chunk.text) not in self._forgotten]
        add_counts(self.report.formats, {source.format: 1})
        self._count(put_document(self._store, source, chunks))

    def _store_log(self, source: SourceFile, path: Path) -> None:
        """All conversations of a file, one by one; those that are no longer in it go."""
        put_source(self._store, source)
        before = set(conversation_ids(self._store, source.path))
        formats: set[str] = set()
        seen: set[str] = set()
        reading = open_log(path)
        for transcript in reading.conversations:
            formats.add(transcript.format)
            if self._store_transcript(source, path, transcript, is_again=transcript.id in seen):
                seen.add(transcript.id)
        self.report.skipped.extend(reading.skipped)
        self.report.drop(reading.dropped)
        if before - seen:
            self.report.removed += remove_conversations(self._store, before - seen)
        add_counts(self.report.formats, dict.fromkeys(formats or {reading.format}, 1))
        put_source(self._store, replace(source, duplicates=self.report.duplicates))

    def _store_transcript(self, source: SourceFile, path: Path, transcript: Transcript, *, is_again: bool) -> bool:
        """Store a conversation once: of two copies the longer stays. False when nothing of this one is stored."""
        report = self.report
        report.skipped.extend(transcript.skipped)
        report.drop(transcript.dropped)
        if not transcript.turns:
            return False
        elsewhere = conversation_source(self._store, transcript.id)
        if elsewhere and (elsewhere[0] != source.path or is_again):
            if (self._home.root / elsewhere[0]).exists() and elsewhere[1] >= len(transcript.turns):
                report.duplicates += 1
                return is_again
            if elsewhere[0] != source.path:
                note_duplicate(self._store, elsewhere[0])
        kept, found = self._prepared(source, path, transcript)
        if not kept.turns:
            report.duplicates += 1
            return is_again
        self._count(put_conversation(self._store, source.path, kept, chunk_transcript(kept), found))
        add_counts(report.redactions, found)
        report.count(kept)
        return True

    def _store_tail(self, source: SourceFile, path: Path, tail: Tail) -> bool:
        """The new lines of an appended log; False when they cannot be told from what is stored."""
        new, found = self._prepared(source, path, replace(tail.new, id=tail.known.id, own=tail.known.own))
        kept = tail.known.turns[: tail.kept]
        if {turn.id for turn in kept} & {turn.id for turn in new.turns}:
            return False
        whole = replace(
            tail.known,
            turns=(*kept, *new.turns),
            title=new.title or tail.known.title,
            dropped={**tail.known.dropped},
            resume_at=new.resume_at,
        )
        add_counts(whole.dropped, new.dropped)
        put_source(self._store, source)
        changed = put_conversation(self._store, source.path, whole, chunk_transcript(whole), found, first=tail.kept)
        self._count(changed)
        report = self.report
        report.appended += 1
        report.skipped.extend((*tail.skipped, *new.skipped))
        report.drop(new.dropped)
        report.drop(tail.dropped)
        add_counts(report.formats, {source.format: 1})
        add_counts(report.redactions, found)
        report.count(whole)
        return True

    def _prepared(self, source: SourceFile, path: Path, transcript: Transcript) -> tuple[Transcript, dict[str, int]]:
        """A conversation as it may be kept, and what was taken out: nothing forgotten, labelled, scrubbed."""
        turns = tuple(self._kept_turns(transcript))
        forgotten = {turn.id for turn in turns if turn.text == FORGOTTEN}
        others = tuple(one for one in transcript.alternatives if one.message_id not in forgotten)
        gone = [turn.text for turn in transcript.turns if turn.id in forgotten]
        title = "" if any(tells(transcript.title, long_words(text)) for text in gone) else transcript.title
        floor = strictest(self._floor(source, path), self._rules.of_path(transcript.path.absolute()))
        kept = labelled(replace(transcript, turns=turns, alternatives=others, title=title), floor, self._rules)
        return scrub_conversation(kept)

    def _kept_turns(self, transcript: Transcript) -> Iterator[Turn]:
        """The turns as they may be kept: none twice, and without the texts that were forgotten before."""
        repeated: set[str] = set()
        if transcript.format == "claude-code":
            repeated = turn_ids_elsewhere(self._store, [turn.id for turn in transcript.turns], transcript.id)
        for turn in transcript.turns:
            if turn.id in repeated:
                self.report.drop({"in another session": 1})
            elif self._is_forgotten(transcript, turn):
                empty = replace(turn, text=FORGOTTEN, rationale="", edited_text=None, approved=None)
                yield replace(empty, tool_calls=(), pasted=())
            else:
                yield turn

    def _is_forgotten(self, transcript: Transcript, turn: Turn) -> bool:
        if turn.text == FORGOTTEN:
            return True
        return bool(self._forgotten) and self._store.digest(message_key(transcript.id, turn.id)) in self._forgotten

    def _floor(self, source: SourceFile, path: Path) -> Label:
        """The least label of all that is in a file: its mark, and the rules about its path."""
        rules = self._rules
        return strictest(source.label, rules.of_path(path.absolute()), rules.of_path(path.resolve()))

    def _count(self, changed: Changed) -> None:
        self.report.memories += changed.added
        self.report.removed += changed.removed


def _hashes(path: Path, size_bytes: int, beginning_bytes: int) -> tuple[str, str]:
    """sha256 of the first ``size_bytes`` and of the first ``beginning_bytes`` of a file; "" for a part it has not.

    A log may grow while it is read: what is hashed is what its size was taken of.
    """
    whole = hashlib.sha256()
    beginning = ""
    done = 0
    with path.open("rb") as file:
        for stop in sorted({min(beginning_bytes, size_bytes), size_bytes}):
            while done < stop and (piece := file.read(min(HASHED_AT_ONCE_BYTES, stop - done))):
                whole.update(piece)
                done += len(piece)
            if done == beginning_bytes:
                beginning = whole.hexdigest()
    return whole.hexdigest(), beginning
