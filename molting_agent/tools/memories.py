"""Remembering, recalling and forgetting, as tools over the home's memory."""

from typing import Annotated, Any

from pydantic import Field

from molting_agent.clean import clean, clean_line
from molting_agent.tools.tool import Place, Tool, ToolError

RECALLED = 5
RECALL_TOKENS = 300

Fact = Annotated[str, Field(description="what to remember, as one sentence", min_length=3, max_length=1000)]
About = Annotated[str, Field(description="what it is about", min_length=2, max_length=200)]


def remember(place: Place, text: Fact) -> str:
    """Remember something that the person said."""
    receipt = place.open_memory().add(clean_line(text))
    return f"Remembered in {receipt.path}:{receipt.line}: {clean_line(text)}"


def recall(place: Place, query: About) -> str:
    """Look into the memory for what was said or noted before."""
    found = place.open_memory().recall(query, k=RECALLED, budget_tokens=RECALL_TOKENS)
    lines = [f"{memory.citation}: {clean_line(memory.text)}" for memory in found]
    return "\n".join(lines) or f"Nothing is remembered about {clean_line(query)}."


def forget(place: Place, what: About) -> str:
    """Forget the one memory that fits best."""
    found = place.open_memory().get([what])
    if not found:
        raise ToolError("that memory is gone already")
    receipts = place.forget(found[0].id)
    return f"Forgotten: {found[0].citation}{f' and {len(receipts) - 1} other places' if len(receipts) > 1 else ''}."


def _settle_forget(place: Place, arguments: dict[str, Any]) -> dict[str, Any]:
    """``what`` becomes the id of one memory, so that no other one goes than the one that was shown."""
    found = place.open_memory().recall(arguments["what"], k=1, budget_tokens=RECALL_TOKENS)
    if not found:
        raise ToolError(f"nothing is remembered about {clean_line(arguments['what'])}")
    return {"what": found[0].id}


def _forget_action(place: Place, arguments: dict[str, Any]) -> str:
    return clean("\n".join(f"forget {it.citation}: {it.text}" for it in place.open_memory().get([arguments["what"]])))


REMEMBER = Tool("remember", "act", remember, lambda _place, arguments: f"write into MEMORY.md: {arguments['text']}")
RECALL = Tool("recall", "look", recall, lambda _place, arguments: f"recall {arguments['query']!r}")
FORGET = Tool("forget", "act", forget, _forget_action, settle=_settle_forget)
