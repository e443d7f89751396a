"""The memory block: what was recalled as plain lines before the person's words, within a budget."""

from collections.abc import Sequence

from memory.values import RecalledMemory

CHARS_PER_TOKEN = 3.6
LINE_CHARS = 360
QUESTION_CHARS = 110


def within_budget(memories: Sequence[RecalledMemory], budget_tokens: int) -> list[RecalledMemory]:
    """The best memories whose block stays within the budget (an estimate: the tokenizer is a floor above)."""
    kept: list[RecalledMemory] = []
    for memory in memories:
        if len(memory_block([*kept, memory])) / CHARS_PER_TOKEN > budget_tokens:
            break
        kept.append(memory)
    return kept


def memory_block(memories: Sequence[RecalledMemory]) -> str:
    """The text put before the person's words, at run time and in training alike; "" when there is nothing.

    Plain lines and no markup: a 135M model copies what it sees. Each memory is one line, cut at a word; of an exchange
    the question is cut first, because the answer is what was worth keeping.
    """
    if not memories:
        return ""
    return "\n".join(["Notes from memory:", *(f"- {_line(memory)}" for memory in memories)])


def _line(memory: RecalledMemory) -> str:
    day = memory.timestamp[:10] if memory.message_id else ""
    question, has_answer, answer = memory.text.partition("\nMe: ")
    if has_answer:
        question = shorten(" ".join(question.split()), QUESTION_CHARS)
        text = f"{question} Me: {' '.join(answer.split())}"
    else:
        text = " ".join(memory.text.split())
    return (f"{day}: " if day else "") + shorten(text, LINE_CHARS)


def shorten(text: str, limit_chars: int) -> str:
    """``text`` cut at a word to at most ``limit_chars``, with an ellipsis where something is missing."""
    if len(text) <= limit_chars:
        return text
    cut = text[: limit_chars - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > limit_chars // 2 else cut).rstrip(" ,;:") + "…"
