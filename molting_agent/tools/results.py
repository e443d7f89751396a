"""Tool results as text that cannot harm: cleaned, cut with a note where the budget ends, and marked as nobody's."""

from collections.abc import Sequence
from dataclasses import dataclass

from molting_agent.clean import clean

MODEL_CHARS = 1_600
"""Of one result this much is read by the model: some 500 tokens."""
SHOWN_CHARS = 4_000
"""Of one result this much is shown to the person."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call and what came of it; ``result`` is cleaned and cut. ``state``: done, failed or refused."""

    id: str
    name: str
    arguments: dict[str, object]
    result: str
    state: str = "done"

    @property
    def shown_call(self) -> str:
        """``read_file notes.txt``, for one line."""
        values = [" ".join(clean(str(value)).split()) for value in self.arguments.values()]
        return " ".join([self.name, *(value if len(value) <= 60 else f"{value[:59]}…" for value in values)])


def cut(text: str, limit_chars: int) -> str:
    """``text`` cleaned, and cut at a line after at most ``limit_chars``, with a note of how much is missing."""
    text = clean(text).strip("\n")
    if len(text) <= limit_chars:
        return text
    kept = text[:limit_chars]
    if (end := kept.rfind("\n")) > limit_chars // 2:
        kept = kept[:end]
    return f"{kept}\n[cut here: {len(text) - len(kept):,} more characters]"


def result_block(uses: Sequence[ToolUse]) -> str:
    """What the model reads before the person's words; "" when no tool was used.

    Each line of a result carries a mark, so that text from outside cannot pass for the program's or the person's.
    """
    parts = []
    for use in uses:
        said = {"done": "says", "failed": "failed", "refused": "was refused"}[use.state]
        lines = cut(use.result, MODEL_CHARS).splitlines() or [""]
        parts.append("\n".join([f"{use.shown_call} {said}:", *(f"- {line}" for line in lines if line.strip())]))
    return "\n\n".join(parts)
