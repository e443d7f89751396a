"""The line under a reply as text: memories shown, how it was rated, which molt spoke (pure functions)."""

from collections.abc import Sequence

from textual.content import Content

from memory.values import RecalledMemory
from molting_agent.clean import clean

RATINGS = {1: "+ liked", -1: "- disliked", 0: ""}
REASONS = {"cancelled": "stopped", "length": "cut at the limit", "stop": "", "": ""}
WORDS_FROM_COLUMNS = 60
"""From here on the first two keys keep their words when not all of them fit."""
KEYS = (("+", "like"), ("-", "dislike"), ("e", "edit"), ("r", "again"), ("b", "branch"), ("y", "copy"), ("w", "why"))


def memories_text(memories: Sequence[RecalledMemory], *, expanded: bool, width: int) -> str:
    """``▸ 2 memories  MEMORY.md:14  MEMORY.md:13``, as many citations as fit into ``width`` columns."""
    if not memories:
        return ""
    text = f"{'▾' if expanded else '▸'} {len(memories)} {'memory' if len(memories) == 1 else 'memories'}"
    for memory in memories:
        citation = clean(memory.citation)
        if len(text) + 2 + len(citation) > width:
            return text if len(text) + 3 > width else f"{text}  …"
        text += f"  {citation}"
    return text


def state_text(*, rating: int, edited: bool, reason: str, molt: int | None) -> str:
    """What is known of a finished reply, such as ``edited · + liked · molt 3``."""
    parts = [REASONS.get(reason, reason), "edited" if edited else "", RATINGS.get(rating, "")]
    if molt is not None:
        parts.append(f"molt {molt}" if molt else "base")
    return " · ".join(part for part in parts if part)


def foot(left: str, right: str, *, width: int, keys: bool) -> Content:
    """One line of ``width`` columns; the keys replace the right side while the block has the cursor."""
    if keys:
        shown = Content("   ").join([Content.assemble((key, "$primary"), f" {word}") for key, word in KEYS])
        if shown.cell_length + (len(left) + 2 if left else 0) > width:
            said = 2 if width >= WORDS_FROM_COLUMNS else 0
            shown = Content("  ").join(
                [
                    Content.assemble((key, "$primary"), f" {word}" if at < said else "")
                    for at, (key, word) in enumerate(KEYS)
                ]
            )
    else:
        shown = Content(right)
    space = width - shown.cell_length
    left_text = Content(left).truncate(max(0, space - 2), ellipsis=True) if left else Content("")
    return Content.assemble(left_text, " " * max(0, space - left_text.cell_length), shown)


def memory_lines(memories: Sequence[RecalledMemory]) -> Content:
    """The opened list: each memory with its citation, its score and its first lines."""
    lines: list[Content] = []
    for memory in memories:
        marks = [f"{memory.score:.2f}", *([memory.label] if memory.label != "normal" else [])]
        if memory.trust == "untrusted":
            marks.append("untrusted")
        text = " ".join(clean(memory.text).split())
        head = Content.assemble((clean(memory.citation), "$accent"), (f"   {'  '.join(marks)}", "$foreground-muted"))
        lines += [head, Content(text if len(text) <= 400 else f"{text[:400]}…")]
    return Content("\n").join(lines)
