"""The memory's front door: one object a home, light to import, safe to call from several threads."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memory.home import Home
from memory.recall.block import memory_block
from memory.transcripts.model import Label, Transcript
from memory.values import Forgotten, IndexCheck, IngestProgress, IngestReport, RecalledMemory, Receipt

if TYPE_CHECKING:
    from datetime import date

    from memory.consolidate import Candidate
    from memory.selection import Selection
    from memory.why import Why

__all__ = ["Forgotten", "IngestProgress", "IngestReport", "Memory", "RecalledMemory", "Receipt", "memory_block"]

ProgressCallback = Callable[[IngestProgress], None]
Memories = list[RecalledMemory]


class Memory:
    """All that one agent remembers.

    Opening touches SQLite only. Lexical search works at once; vectors take part as soon as the embedder is prepared
    (``warm`` or ``fill_vectors`` does that once per home). Label rules that changed in config.toml hold from here on.
    Every method raises MemoryStoreError when SQLite fails; opening raises HomeError when the rules cannot be read.
    """

    def __init__(self, home: Home) -> None:
        from memory.store import Store
        from memory.upkeep import apply_rules
        from memory.vectors import Vectors

        self.home = home
        self._store = Store(home.db_file)
        apply_rules(home, self._store)
        self._vectors = Vectors(home, self._store)
        self._writing = threading.RLock()

    def recall(self, query: str, *, k: int = 5, budget_tokens: int = 400, exclude_transcript: str = "") -> Memories:
        """The memories that fit ``query``, best first: at most ``k`` and ``budget_tokens``; [] when none fits.

        ``exclude_transcript`` leaves out one conversation by its id: the running one, or the one trained on.
        """
        from memory.recall.recall import recall

        return recall(
            self._store, self._vectors, query, k=k, budget_tokens=budget_tokens, exclude_transcript=exclude_transcript
        )

    def nearest(self, text: str, *, among: Collection[str], k: int) -> Memories:
        """Exchanges of the conversations ``among``, nearest to ``text`` by embedding alone; [] while none is loaded."""
        from memory.nearest import nearest

        return nearest(self._store, self._vectors, text, among=among, k=k)

    def get(self, ids: Sequence[str]) -> Memories:
        """Memories by id, in the order asked for; ids that were forgotten are absent."""
        return self._store.memories(ids)

    def ingest(
        self,
        paths: Sequence[Path],
        *,
        label: Label | None = None,
        dry_run: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> IngestReport:
        """Read files, folders and zips of exports: markdown, text, and logs of every known format.

        Unchanged files cost a look, an appended log its new lines, others a diff. Conversations are scrubbed of
        secrets. ``label`` marks what is in the files; None leaves the mark they have. One SQLite transaction a file: a
        crash leaves whole files in or out. Lexical search finds the new memories at once; vectors are made by
        ``fill_vectors``.
        """
        from memory.ingest import ingest

        with self._writing:
            return ingest(self.home, self._store, paths, label=label, dry_run=dry_run, on_progress=on_progress)

    def sync(self) -> IngestReport:
        """Bring the home's own MEMORY.md, notes and sessions into the memory; deletions in the files propagate."""
        from memory.ingest import sync

        with self._writing:
            return sync(self.home, self._store)

    def add(self, text: str) -> Receipt:
        """Write one memory to MEMORY.md, under the heading that fits it best or "Notes", and index it."""
        from memory.keep import add

        with self._writing:
            return add(self.home, self._store, self._vectors, text)

    def correct(self, memory_id: str, text: str) -> Receipt:
        """Give an entry of MEMORY.md or a note other words, in its place. Errors: UsageError for what is none."""
        from memory.correct import correct

        with self._writing:
            return correct(self.home, self._store, self._vectors, memory_id, text)

    def undo(self, memory_id: str = "") -> Receipt:
        """Take back the last memory that was written to MEMORY.md, or this one: the file is then what it was before.

        Where it was changed since, the entry alone leaves it. Errors: UsageError when there is nothing to take back.
        """
        from memory.keep import undo

        with self._writing:
            return undo(self.home, self._store, memory_id)

    def forget(self, ids: Sequence[str]) -> list[Receipt]:
        """``forget_all`` for memories by id; gives the receipts."""
        return list(self.forget_all(ids).receipts)

    def forget_all(self, ids: Sequence[str], messages: Mapping[str, Collection[str]] | None = None) -> Forgotten:
        """Remove memories, and messages by conversation, everywhere in the home: files, SQLite, vectors, logs.

        Receipts, one a place; an unknown id has none. What says the same elsewhere goes too, and all of it stays gone
        when its file is read again. What the floors above keep of the same words they take out themselves.
        """
        from memory.forgetting import forget

        with self._writing:
            return forget(self.home, self._store, self._vectors, ids, messages)

    def select(self, *, query: str = "", source: str = "", since: str = "", until: str = "") -> "Selection":
        """What would be forgotten: all that fits every condition that is given. Nothing is changed.

        ``query``: all its content words are said. ``source``: a file, a folder or a conversation that it came from.
        ``since`` and ``until``: days (2026-02-14, or 7d for seven days ago), both included. Errors: UsageError.
        """
        from memory.selection import select

        return select(self.home, self._store, query=query, source=source, since=since, until=until)

    def candidates(self, *, since: "date | None" = None, limit: int = 50) -> "list[Candidate]":
        """Sentences of the person's own that may be worth keeping, said from ``since`` on; see memory.consolidate."""
        from memory.consolidate import candidates

        return candidates(self._store, since=since, limit=limit)

    def accept(self, candidate_id: str, text: str = "") -> Receipt:
        """Keep a candidate in MEMORY.md, in other words if ``text`` gives them. Errors: UsageError, HomeError."""
        from memory.consolidate import accept

        with self._writing:
            return accept(self.home, self._store, self._vectors, candidate_id, text)

    def reject(self, candidate_id: str) -> "Candidate":
        """Never propose a candidate again. Errors: UsageError when there is none of this id."""
        from memory.consolidate import reject

        with self._writing:
            return reject(self._store, candidate_id)

    def why(self, memory_id: str) -> "Why":
        """Where a memory came from, the words around it, and when it was shown. Errors: UsageError."""
        from memory.why import why

        return why(self.home, self._store, memory_id)

    def list(self, *, limit: int = 100) -> Memories:
        """The newest memories: the person's own entries first, then conversations."""
        return self._store.newest(limit)

    def conversations(self) -> Iterator[Transcript]:
        """Every conversation that was ingested, imported and own, oldest first."""
        from memory.conversations import conversations

        return conversations(self._store)

    def conversation(self, transcript_id: str) -> Transcript | None:
        """One conversation as it was ingested: scrubbed, with the label of each turn; None when it is not known."""
        from memory.conversations import conversation

        return conversation(self._store, transcript_id)

    def warm(self) -> None:
        """Load the embedder and the vector index ahead of the first question; slow, call it in a background thread."""
        self._vectors.warm()

    def fill_vectors(self, on_progress: ProgressCallback | None = None) -> int:
        """Embed every chunk that has no vector yet, bring Chroma in step; resumable. Returns how many were embedded."""
        return self._vectors.fill(on_progress)

    def keep_in_step(self) -> None:
        """In a process that warmed up: bring Chroma in step after other processes wrote; cheap when none did."""
        self._vectors.keep_in_step()

    def check_index(self) -> IndexCheck:
        """Open the vector index, make it anew where it is damaged, and bring it in step; may take minutes."""
        return self._vectors.check()

    def take_notice(self) -> str:
        """What a person should know of embedder and index, such as a server that is away, told once; "" for nothing."""
        return self._vectors.take_notice()

    def stats(self) -> dict[str, int]:
        """Counts: sources, conversations, turns, memories, vectors, vectors_missing."""
        return self._store.stats(self._vectors.embedder_name)

    def close(self) -> None:
        """Close the index and the database; safe to call twice."""
        self._vectors.close()
        self._store.close()
