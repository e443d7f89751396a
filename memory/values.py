"""What the memory hands out: recalled memories, receipts of writes, and the reports of an ingest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from memory.transcripts.model import Label, Skipped, Transcript, Trust


@dataclass(frozen=True, slots=True)
class RecalledMemory:
    """One chunk of memory with what is needed to show, cite and weigh it.

    ``id`` is stable for the same (source, text). ``citation`` resolves to a place a person can open:
    ``MEMORY.md:14``, ``memory/2026-02-08.md:3-5`` or ``2026-02-14 034b3793 message dc8f585f``. ``score`` is the fused
    score, 0..1; ``parts`` says what it was made of. ``source`` is the path as ingested, ``conversation`` the id of the
    transcript.
    """

    id: str
    text: str
    heading: str
    citation: str
    score: float
    parts: dict[str, float]
    trust: Trust
    label: Label
    source: str
    message_id: str = ""
    timestamp: str = ""
    conversation: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of one write, made by the runtime and never by the model's prose.

    ``action`` is ``added`` (a new line), ``kept`` (the line was there already), ``edited`` (the line has
    other words), ``removed`` (the line left the file),
    ``restored`` (a write was taken back, the file is what it was before, byte for byte),
    ``redacted`` (the text left a transcript, the fact that something was said stays) or ``forgotten`` (left the index
    only: the file belongs to somebody else and was not touched), ``deleted`` (a copy of a damaged database is gone) or
    ``carried`` (a molt has learnt it: its weights keep it). ``line`` counts from 1; 0 means no line.
    """

    id: str
    action: str
    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a forgetting did. The receipts are for the person; all else is for whoever keeps more of the same words.

    ``ids`` are the memories and messages that went, ``conversations`` those they were said or shown in, ``texts`` what
    they said, ``words`` (small letters) those of it that nothing else in the memory says. Never write these down.
    """

    receipts: tuple[Receipt, ...] = ()
    ids: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest or an embedding run has come; ``phase`` is ``reading`` or ``embedding``."""

    phase: str
    done: int
    total: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """How the vector index is after it was looked at and mended.

    ``where`` is a folder or a server; ``is_in_step`` is False while another process has it or a server is away;
    ``was_made_anew``: it was damaged, missing or of another embedder. ``size_bytes`` is of its files in the home.
    """

    where: str
    is_in_step: bool
    was_made_anew: bool
    size_bytes: int
    embedder: str


@dataclass(slots=True)
class IngestReport:
    """What an ingest found and changed; counts are of this run.

    ``conversations``, turns, ``rationales`` (replies with one), ``tool_calls`` and ``redactions`` (by kind) are what is
    in the files that were read; ``unchanged`` files are not read, except in a dry run, and ``appended`` ones only from
    where they were left. ``duplicates`` are conversations that another file gave already. ``memories`` are chunks that
    are new, ``removed`` those that are gone. ``dropped`` counts by kind what is no part of a conversation.
    """

    files: int = 0
    unchanged: int = 0
    appended: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    conversations: int = 0
    turns: int = 0
    human_turns: int = 0
    agent_turns: int = 0
    rationales: int = 0
    tool_calls: int = 0
    duplicates: int = 0
    redactions: dict[str, int] = field(default_factory=dict)
    memories: int = 0
    removed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """True when the memory is not what it was before."""
        return bool(self.memories or self.removed or self.conversations)

    def add(self, other: "IngestReport") -> None:
        """Add another report, of one file, to this one."""
        for each in fields(self):
            mine, its = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, dict):
                add_counts(mine, its)
            elif isinstance(mine, list):
                mine.extend(its)
            elif not isinstance(mine, bool):
                setattr(self, each.name, mine + its)

    def count(self, transcript: Transcript) -> None:
        """Add what is in one conversation."""
        self.conversations += 1
        for turn in transcript.turns:
            self.turns += 1
            self.human_turns += turn.role == "user"
            self.agent_turns += turn.role == "assistant"
            self.rationales += bool(turn.rationale)
            self.tool_calls += len(turn.tool_calls)

    def drop(self, counts: Mapping[str, int]) -> None:
        """Add what was left out, by kind."""
        add_counts(self.dropped, counts)


def add_counts(total: dict[str, int], counts: Mapping[str, int]) -> None:
    """Add ``counts`` to ``total``, kind by kind."""
    for kind, count in counts.items():
        total[kind] = total.get(kind, 0) + count
