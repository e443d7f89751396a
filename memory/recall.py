"""Recall: BM25 and vectors fused by weighted scores, folded, thresholded, cut to a budget, and put into words."""

from collections.abc import Sequence

from memory.values import RecalledMemory

LINE_CHARS = 360


def memory_block(memories: Sequence[RecalledMemory]) -> str:
    """The text put before the person's words, at run time and in training alike; "" when there is nothing.

    Plain lines and no markup: a 135M model copies what it sees. Each memory is one line, cut at a word.
    """
    if not memories:
        return ""
    lines = ["Notes from memory:"]
    for memory in memories:
        text = shorten(" ".join(memory.text.split()), LINE_CHARS)
        day = memory.timestamp[:10] if memory.message_id else ""
        lines.append(f"- {day + ': ' if day else ''}{text}")
    return "\n".join(lines)


def shorten(text: str, limit_chars: int) -> str:
    """``text`` cut at a word to at most ``limit_chars``, with an ellipsis where something is missing."""
    if len(text) <= limit_chars:
        return text
    cut = text[: limit_chars - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > limit_chars // 2 else cut).rstrip(" ,;:") + "…"
