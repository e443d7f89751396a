"""Builds the prompt of a turn (pure): identity first and fixed, then history, memories beside their question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from molting_agent.runtime.template import Message

IDENTITY_FILES = ("SOUL.md", "IDENTITY.md", "USER.md")
# Template markup around one message, in tokens; generous, so that the estimate never runs over.
MARKUP_TOKENS = 8


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One turn of the history; ``memories`` is the block that was shown with a question, kept as it was shown."""

    role: str
    text: str
    memories: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """``messages`` for the template; the first ``prefix_messages`` are fixed for the session.

    ``left_out`` counts the turns at the beginning of the history that no longer stand in the prompt.
    """

    messages: list[Message]
    left_out: int
    tokens: int
    prefix_messages: int = 1


def read_identity(folder: Path) -> str:
    """SOUL.md, IDENTITY.md and USER.md of a home as the system text; a missing file is left out."""
    files = [folder / name for name in IDENTITY_FILES]
    return system_text([f.read_text("utf-8", "replace") for f in files if f.is_file()])


def system_text(files: Sequence[str]) -> str:
    """The identity files' texts, one after the other."""
    return "\n\n".join(text.strip() for text in files if text.strip())


def user_content(turn: ChatTurn) -> str:
    """What the model reads for a turn: the memories shown with it, then the words."""
    return f"{turn.memories}\n\n{turn.text}" if turn.memories else turn.text


def build(
    system: str,
    history: Sequence[ChatTurn],
    *,
    budget_tokens: int,
    count_tokens: Callable[[str], int],
    left_out: int = 0,
) -> Prompt:
    """The prompt for the last turn of ``history`` (a question), within ``budget_tokens`` for the whole prompt.

    The prompt only ever grows at its end, so that the KV cache is reused. When it no longer fits, the oldest half of
    what is left of the history goes at once (again and again until it fits); ``left_out`` says how many turns had gone
    before. The newest question always stays.
    """
    costs = [count_tokens(user_content(turn)) + MARKUP_TOKENS for turn in history]
    fixed = count_tokens(system) + 2 * MARKUP_TOKENS
    first = min(left_out, len(history) - 1)
    while fixed + sum(costs[first:]) > budget_tokens and first < len(history) - 1:
        first = _next_question(history, first + max(1, (len(history) - first) // 2))
    messages = [Message("system", system)]
    messages += [Message(turn.role, user_content(turn)) for turn in history[first:]]
    return Prompt(messages, left_out=first, tokens=fixed + sum(costs[first:]))


def _next_question(history: Sequence[ChatTurn], start: int) -> int:
    """The history begins with a question, never with an answer whose question is gone."""
    for index in range(min(start, len(history) - 1), len(history)):
        if history[index].role == "user":
            return index
    return len(history) - 1
