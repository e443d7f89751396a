"""What stands around a memory where it comes from: the lines of its file, or the turns of its conversation."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from memory.memory_file import read

if TYPE_CHECKING:
    from memory.api import Memory, RecalledMemory

LINES_AROUND = 6
TURNS_AROUND = 2


def source_text(memory: "Memory", one: "RecalledMemory") -> str:
    """A few lines before and after, with ``>`` at the memory's own. Errors: HomeError when the file cannot be read."""
    return _conversation_around(memory, one) if one.conversation else _file_around(one)


def _file_around(one: "RecalledMemory") -> str:
    found = re.search(r":(\d+)(?:-(\d+))?$", one.citation)
    path = Path(one.source)
    if not path.is_file():
        return f"{path}\n\nThis file is not there any more."
    lines = read(path).splitlines()
    first = int(found[1]) if found else 1
    last = int(found[2] or found[1]) if found else min(len(lines), 1)
    start, end = max(1, first - LINES_AROUND), min(len(lines), last + LINES_AROUND)
    shown = [
        f"{'>' if first <= number <= last else ' '} {number:>4}  {lines[number - 1]}"
        for number in range(start, end + 1)
    ]
    return "\n".join([str(path), "", *shown])


def _conversation_around(memory: "Memory", one: "RecalledMemory") -> str:
    transcript = memory.conversation(one.conversation)
    if transcript is None:
        return f"{one.source}\n\nThis conversation is not in the memory any more."
    ids = [turn.id for turn in transcript.turns]
    at = ids.index(one.message_id) if one.message_id in ids else 0
    shown = []
    for index in range(max(0, at - TURNS_AROUND), min(len(ids), at + TURNS_AROUND + 2)):
        turn = transcript.turns[index]
        mark = ">" if turn.id == one.message_id else " "
        shown.append(f"{mark} {turn.role}: {turn.final_text}")
    head = f"{transcript.path}\n{transcript.title or transcript.id}, {transcript.started_at[:16].replace('T', ' ')}"
    return "\n\n".join([head, *shown])
