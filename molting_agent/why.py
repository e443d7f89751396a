"""Why he said it: the memories he was shown, the molt that spoke, and the nearest conversations that it learnt."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.errors import MoltError

if TYPE_CHECKING:
    from memory.values import RecalledMemory
    from molting_agent.agent import Agent
    from molting_agent.session import SessionTurn

NEAREST = 3


@dataclass(frozen=True, slots=True)
class Why:
    """``nearest`` are exchanges of the conversations that the molt was trained on, by the cosine of their embeddings.

    They resemble the reply; that it was said because of them is not known.
    """

    molt: int
    title: str
    memories: "tuple[RecalledMemory, ...]"
    nearest: "tuple[RecalledMemory, ...]"
    trained_on: int
    forgotten: int


def why(agent: "Agent", turn: "SessionTurn") -> Why:
    """For a thread: embeds the reply. A molt that is gone is said by its title."""
    shown = tuple(agent.memory.get(list(turn.memories)))
    forgotten = len(turn.memories) - len(shown)
    if not turn.molt:
        return Why(0, "the base model, which learnt from no conversation of yours", shown, (), 0, forgotten)
    try:
        molt = agent.registry.get(turn.molt)
    except MoltError as error:
        return Why(turn.molt, str(error), shown, (), 0, forgotten)
    learnt = {str(target["conversation"]) for target in molt.manifest.get("targets", [])}
    found = tuple(agent.memory.nearest(turn.text, among=learnt, k=NEAREST)) if learnt else ()
    return Why(turn.molt, molt.title, shown, found, len(learnt), forgotten)


def why_lines(found: Why) -> list[str]:
    """The answer as lines of text (pure)."""
    lines = [f"spoken by    {f'molt {found.molt}' if found.molt else 'molt 0'}: {found.title}"]
    for memory in found.memories:
        lines.append(f"was shown    {memory.citation}   {' '.join(memory.text.split())[:160]}")
    if found.forgotten:
        lines.append(f"was shown    {found.forgotten} more, forgotten since")
    if not found.memories and not found.forgotten:
        lines.append("was shown    no memory")
    for memory in found.nearest:
        text = " ".join(memory.text.split())[:160]
        lines.append(f"is near      {memory.citation}   cosine {memory.score:.2f}   {text}")
    if found.trained_on and found.nearest:
        lines.append(
            f"             nearest by embedding of the {found.trained_on} conversations it learnt; alike, not the cause"
        )
    elif found.trained_on:
        lines.append(f"is near      none of the {found.trained_on} conversations it learnt is in this home's memory")
    return lines
