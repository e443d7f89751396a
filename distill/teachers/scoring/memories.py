"""All of MEMORY.md that may be learnt from, as one text that a teacher reads before each dialogue."""

from itertools import groupby

from memory.api import Memory
from memory.home import Home
from memory.values import RecalledMemory

# The person's own entries come first in the memory's list; no MEMORY.md has more.
MOST_ENTRIES = 10_000


def all_memories(home: Home) -> tuple[str, tuple[str, ...]]:
    """The entries labelled normal in the order of the file under their headings, scrubbed; and their ids.

    "" and () where there are none. Errors: MemoryStoreError, HomeError.
    """
    memory = Memory(home)
    try:
        memory.sync()
        found = [
            entry
            for entry in memory.list(limit=MOST_ENTRIES)
            if entry.source == str(home.memory_file) and entry.label == "normal"
        ]
    finally:
        memory.close()
    if not found:
        return "", ()
    from memory.scrub import Scrubber

    found.sort(key=_line)
    parts = [
        "\n".join([*([f"## {heading}"] if heading else []), *(f"- {entry.text}" for entry in entries)])
        for heading, entries in groupby(found, key=lambda entry: entry.heading)
    ]
    return Scrubber().scrub("\n\n".join(["# MEMORY", *parts])).text, tuple(entry.id for entry in found)


def _line(entry: RecalledMemory) -> int:
    """The first line of an entry, from its citation ``MEMORY.md:14`` or ``MEMORY.md:14-16``."""
    return int(entry.citation.rpartition(":")[2].partition("-")[0])
