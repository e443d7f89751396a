"""Whether to act, with which tool and on what: a few examples before a small model, and only choices that are allowed.

Three steps, each helping a model of 135 million parameters: plain patterns say which tools the words could call for
(``gate``); the model compares how likely their names are with how likely a reply is; a grammar of the tool's JSON
schema, narrowed to the person's own words, binds the arguments. All of it is evaluated beside the conversation.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from memory.errors import EngineError
from molting_agent.runtime.protocol import Delta, Engine, Sampling, Segment
from molting_agent.tools.gate import GATE_CHARS, suggested
from molting_agent.tools.spans import narrowed
from molting_agent.tools.tool import Tool, ToolError

REPLY = "reply"
ARGUMENT_TOKENS = 200
GREEDY = Sampling(temperature=0, repeat_penalty=1.0)
SMALL_PARAMETERS = 300_000_000
MARGIN_NATS = -2.5
"""A suggested tool is dropped when its name is less likely than a reply by more than this. A wrong look costs a moment
and a wrong act is asked about, so the patterns are believed unless the model is sure."""
NOTHING = "..."
"""A small model leans to some names whatever is asked, by up to five nats: it is asked this first, and what it answers
is taken off (contextual calibration, Zhao et al. 2021). Its margin is then 0."""
_leanings: WeakKeyDictionary[Engine, dict[str, float]] = WeakKeyDictionary()

EXAMPLES: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("How are you today?", REPLY, None),
    ("What time is it now?", "date_and_time", {}),
    ("Read the file letter.txt", "read_file", {"path": "letter.txt"}),
    ("I read a file about birds yesterday.", REPLY, None),
    ("Lista os ficheiros da pasta fotos", "list_folder", {"path": "fotos"}),
    ("Which files mention Lisbon?", "search_files", {"text": "Lisbon", "path": "."}),
    ("Write 'call Ana' to tasks.txt", "write_file", {"path": "tasks.txt", "text": "call Ana"}),
    ("Should I write a letter or a mail?", REPLY, None),
    ("Run `date`", "run_command", {"command": "date"}),
    ("Remember that Rui likes tea.", "remember", {"text": "Rui likes tea"}),
    ("Esquece o que eu disse sobre o gato.", "forget", {"what": "o gato"}),
    ("What do you know about my brother?", "recall", {"query": "my brother"}),
    ("What works best to remember names?", REPLY, None),
    ("Show the files here", "list_folder", {"path": "."}),
    ("Procura barco na pasta textos", "search_files", {"text": "barco", "path": "textos"}),
    ("Executa o comando ls", "run_command", {"command": "ls"}),
    ("Não te esqueças de que o Rui chega às oito.", "remember", {"text": "o Rui chega às oito"}),
    ("O Rui correu muito ontem.", REPLY, None),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool with arguments that fit its schema."""

    tool: Tool
    arguments: dict[str, Any]


def choose(engine: Engine, tools: Mapping[str, Tool], text: str) -> Call | None:
    """The call that ``text`` asks for; None for a reply, and when no arguments fit after one repair.

    Errors: EngineError when the worker dies; the conversation's own context is untouched either way.
    """
    candidates = [name for name in suggested(text) if name in tools]
    if not candidates:
        return None
    request = " ".join(text.split())[:GATE_CHARS]
    head = Segment(examples())
    engine.warm([head], aside=True)
    names = [REPLY, *candidates]
    likely, margin = {name: -_nats(engine, head, request, name) for name in names}, MARGIN_NATS
    if engine.info.parameters < SMALL_PARAMETERS:
        leaning, margin = _leaning(engine, head, names), 0.0
        likely = {name: nats - leaning[name] for name, nats in likely.items()}
    fitting = [name for name in candidates if likely[name] - likely[REPLY] >= margin]
    return _with_arguments(engine, head, tools[fitting[0]], request) if fitting else None


def examples() -> str:
    """The examples as text: what every choice begins with, so that its state is kept."""
    lines = []
    for words, name, arguments in EXAMPLES:
        shown = f" {json.dumps(arguments, ensure_ascii=False)}" if arguments is not None else ""
        lines.append(f"Person: {words}\nAction: {name}{shown}\n\n")
    return "".join(lines)


def _nats(engine: Engine, head: Segment, request: str, name: str) -> float:
    asked = Segment(f"Person: {request}\nAction:")
    return engine.score([head, asked, Segment(f" {name}", target=True)], aside=True).nats[0]


def _leaning(engine: Engine, head: Segment, names: list[str]) -> dict[str, float]:
    """How likely each name is where nothing was asked; found out once an engine, by its base model."""
    known = _leanings.setdefault(engine, {})
    for name in names:
        if name not in known:
            known[name] = -_nats(engine, head, NOTHING, name)
    return known


def _with_arguments(engine: Engine, head: Segment, tool: Tool, request: str) -> Call | None:
    """The arguments, bound first to the words of the request, then to the tool's schema alone."""
    if not tool.schema["properties"]:
        return Call(tool, {})
    asked = Segment(f"Person: {request}\nAction: {tool.name} ")
    for schema in (narrowed(tool.schema, tool.name, request), tool.schema):
        said = drawn(engine, [head, asked], prefix_segments=1, schema=schema)
        try:
            # A grammar lets line breaks stand in a string as they are.
            return Call(tool, tool.check(json.loads(said, strict=False)))
        except (ValueError, ToolError):
            continue
    return None


def drawn(engine: Engine, segments: list[Segment], *, prefix_segments: int, schema: dict[str, Any] | None) -> str:
    """What the model says beside the conversation. Errors: EngineError."""
    items = engine.generate(
        segments,
        max_tokens=ARGUMENT_TOKENS,
        sampling=GREEDY,
        prefix_segments=prefix_segments,
        schema=json.dumps(schema, ensure_ascii=False) if schema else "",
        aside=True,
    )
    return "".join(item.text for item in items if isinstance(item, Delta))


__all__ = ["Call", "EngineError", "choose"]
