"""What of a conversation the model sees: turns with the memories that were shown, and how much has left the window."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from memory.api import RecalledMemory, memory_block
from molting_agent.runtime.prompt import ChatTurn, Prompt, build
from molting_agent.session import SessionTurn
from molting_agent.tools.results import ToolUse, result_block

CountTokens = Callable[[str], int]


def shown_ids(turns: Iterable[SessionTurn]) -> list[str]:
    """Ids of all memories that were shown in a conversation, each once, in order."""
    return list(dict.fromkeys(memory_id for turn in turns for memory_id in turn.memories))


def chat_turns(
    turns: Sequence[SessionTurn],
    shown: Mapping[str, RecalledMemory],
    newest_ids: Sequence[str] = (),
    newest_uses: Sequence[ToolUse] = (),
) -> list[ChatTurn]:
    """The history as the model reads it: person and agent in turn, a question with its memories and what tools said.

    ``newest_ids`` and ``newest_uses`` are those of a question without a reply yet. A memory that is not in ``shown``
    was forgotten and vanishes. A reply that was stopped before its first word is left out, and the words around it
    become one turn: most chat templates refuse two turns of the same person in a row.
    """
    said = [turn for turn in turns if turn.role == "user" or turn.text.strip()]
    history: list[ChatTurn] = []
    for index, turn in enumerate(said):
        if turn.role == "assistant":
            history.append(ChatTurn("assistant", turn.text))
            continue
        is_last = index + 1 == len(said)
        following = None if is_last else said[index + 1]
        ids = newest_ids if is_last else following.memories if following and following.role == "assistant" else ()
        uses = newest_uses if is_last else following.uses if following and following.role == "assistant" else ()
        parts = [memory_block([shown[memory_id] for memory_id in ids if memory_id in shown]), result_block(uses)]
        block = "\n\n".join(part for part in parts if part)
        if history and history[-1].role == "user":
            history[-1] = ChatTurn("user", f"{history[-1].text}\n\n{turn.text}", block)
        else:
            history.append(ChatTurn("user", turn.text, block))
    return history


def describe(
    turns: Sequence[SessionTurn], shown: Mapping[str, RecalledMemory], window: "Window", context_tokens: int
) -> list[str]:
    """What is in the window and what has left it, in lines for a person; token counts are of the texts alone."""
    seen = chat_turns(turns, shown)[window.left_out :]
    spoken = sum(window.count_tokens(turn.text) for turn in seen)
    remembered = sum(window.count_tokens(turn.memories) for turn in seen if turn.memories)
    ids = set(shown_ids(turns)) & set(shown)
    return [
        f"identity   {window.count_tokens(window.system):,} tokens",
        f"turns      {len(seen)} in view, {spoken:,} tokens",
        f"memories   {len(ids)} shown so far, {remembered:,} tokens",
        f"left       {window.left_out} turns have left his view; recall still finds them"
        if window.left_out
        else "left       nothing has left his view",
        f"window     {context_tokens:,} tokens; {window.budget_tokens:,} for what he reads, the rest for his reply",
    ]


class Window:
    """Builds the prompt of each turn and remembers what has left it: between two cuts it only grows at its end."""

    def __init__(self, system: str, budget_tokens: int, count_tokens: CountTokens) -> None:
        self.system = system
        self.budget_tokens = budget_tokens
        self.left_out = 0
        self.count_tokens = count_tokens

    def prompt(self, history: Sequence[ChatTurn]) -> tuple[Prompt, int]:
        """The prompt for the newest question, and how many turns left it just now (0 in most turns)."""
        prompt = self._build(history, self.left_out)
        left_now = prompt.left_out - self.left_out
        self.left_out = prompt.left_out
        return prompt, left_now

    def resume(self, history: Sequence[ChatTurn]) -> None:
        """Find out what had left the window of a conversation that goes on, by cutting again where it was cut then."""
        self.left_out = 0
        if not history or self._build(history, 0).left_out == 0:
            return
        for end, turn in enumerate(history, 1):
            if turn.role == "user":
                self.left_out = self._build(history[:end], self.left_out).left_out

    def _build(self, history: Sequence[ChatTurn], left_out: int) -> Prompt:
        return build(
            self.system,
            history,
            budget_tokens=self.budget_tokens,
            count_tokens=self.count_tokens,
            left_out=left_out,
        )
