"""All tools by name, and which of them a home has switched on."""

from collections.abc import Iterable

from memory.errors import UsageError
from molting_agent.tools.clock import CLOCK
from molting_agent.tools.command import RUN, which_wall, why_off
from molting_agent.tools.files import LIST, READ, SEARCH, WRITE
from molting_agent.tools.memories import FORGET, RECALL, REMEMBER
from molting_agent.tools.tool import Tool

TOOLS = {tool.name: tool for tool in (CLOCK, READ, LIST, SEARCH, RECALL, WRITE, RUN, REMEMBER, FORGET)}


def enabled_tools(names: Iterable[str]) -> dict[str, Tool]:
    """The tools named, in the order of TOOLS. Errors: UsageError for a name that is none."""
    wanted = set(names)
    if unknown := sorted(wanted - TOOLS.keys()):
        raise UsageError(f"{unknown[0]}: no such tool; there are: {', '.join(TOOLS)}")
    return {name: tool for name, tool in TOOLS.items() if name in wanted}


def state_lines(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """Name, state and summary of every tool, for a list of them; tries once which wall commands have here."""
    wanted = set(names)
    lines = []
    for tool in TOOLS.values():
        state = "runs at once" if tool.effect == "look" else "asks first"
        if tool.name not in wanted:
            state = "off"
        elif tool is RUN:
            wall = which_wall()
            state = f"asks first, behind {wall}" if wall else f"off: {why_off()}"
        lines.append((tool.name, state, tool.summary))
    return lines
