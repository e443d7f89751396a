"""Choosing with the tool calls that a bigger model was trained on: its own chat template tells it of the tools."""

import json
import re
from collections.abc import Mapping

from molting_agent.runtime.protocol import Engine, Segment
from molting_agent.runtime.template import Message, prefix_length, render
from molting_agent.tools.choose import Call, drawn
from molting_agent.tools.gate import GATE_CHARS, suggested
from molting_agent.tools.tool import Tool, ToolError

NATIVE_PARAMETERS = 1_000_000_000
"""Smaller models choose better from examples: Qwen2.5-Coder-0.5B called 11 of 16 right in its own form."""
SYSTEM = "You help on this computer. When a request needs one of the tools, call it and say nothing else."
_NAME = re.compile(r'"name"\s*:\s*"(\w+)"')


def choose_natively(engine: Engine, tools: Mapping[str, Tool], text: str) -> Call | None:
    """The call that ``text`` asks for; None for a reply, and when its arguments do not fit after one repair.

    Whether to call is said freely; a call whose arguments do not fit is drawn again, bound to the tool's schema.
    Errors: EngineError when the worker dies.
    """
    if not any(name in tools for name in suggested(text)):
        return None
    segments, prefix_segments = _prompt(engine, tools, text)
    said = drawn(engine, segments, prefix_segments=prefix_segments, schema=None)
    name = _NAME.search(said)
    if name is None or name[1] not in tools or not _looks_called(said):
        return None
    tool = tools[name[1]]
    with_repair = f'<tool_call>\n{{"name": "{tool.name}", "arguments": '
    for attempt in (said, None):
        try:
            if attempt is None:
                bound = [*segments, Segment(with_repair)]
                found = json.loads(
                    drawn(engine, bound, prefix_segments=prefix_segments, schema=tool.schema), strict=False
                )
            else:
                found = _arguments(attempt)
            return Call(tool, tool.check(found))
        except (ValueError, ToolError):
            continue
    return None


def _prompt(engine: Engine, tools: Mapping[str, Tool], text: str) -> tuple[list[Segment], int]:
    info = engine.info
    described = [
        {"type": "function", "function": {"name": tool.name, "description": tool.summary, "parameters": tool.schema}}
        for tool in tools.values()
    ]
    segments = render(
        info.chat_template,
        [Message("system", SYSTEM), Message("user", text[:GATE_CHARS])],
        end_tokens=info.end_tokens,
        bos_token=info.bos_token,
        tools=json.dumps(described),
    )
    return segments, prefix_length(segments, 1)


def _looks_called(said: str) -> bool:
    """A call stands first, in its tags, in a fence or bare: small models leave the tags out."""
    return said.lstrip().startswith(("<tool_call>", "<tools>", "{", "```"))


def _arguments(said: str) -> dict[str, object]:
    """The arguments of the first call in ``said``. Errors: ValueError."""
    start = said.index("{")
    value, _ = json.JSONDecoder(strict=False).raw_decode(said[start:])
    found = value.get("arguments") if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise ValueError("no arguments")
    return found
