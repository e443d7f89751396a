"""Which slash commands there are, and how what was typed is matched to one."""

import difflib
import importlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molting_agent.ui.chat import ChatScreen

Run = Callable[["ChatScreen", str], Awaitable[None]]
MODULES = ("conversation", "talk", "memory", "molts", "app")
_COMMANDS: dict[str, "Command"] = {}


@dataclass(frozen=True, slots=True)
class Command:
    """One command. ``argument`` is shown in its usage: ``TEXT`` is needed, ``[id]`` may be left out."""

    name: str
    argument: str
    summary: str
    run: Run

    @property
    def usage(self) -> str:
        """``/remember TEXT``"""
        return f"/{self.name} {self.argument}".rstrip()

    @property
    def needs_argument(self) -> bool:
        return bool(self.argument) and not self.argument.startswith("[")


def command(name: str, argument: str = "", *, summary: str) -> Callable[[Run], Run]:
    """Register the decorated function as ``/name``."""

    def register(run: Run) -> Run:
        _COMMANDS[name] = Command(name, argument, summary, run)
        return run

    return register


def commands() -> dict[str, Command]:
    """All commands by name, in the order of the help."""
    if not _COMMANDS:
        for module in MODULES:
            importlib.import_module(f"molting_agent.ui.commands.{module}")
    return _COMMANDS


def matching(text: str) -> list[Command]:
    """The commands that begin with what was typed; none when it is not the beginning of a command."""
    if not re.fullmatch(r"/[a-z]*", text):
        return []
    return [found for name, found in commands().items() if name.startswith(text[1:])]


def parse(text: str) -> tuple[str, str] | None:
    """Name and argument of a slash command; None for a question, also one that begins with a path (``/etc/x``)."""
    match = re.fullmatch(r"/([A-Za-z]\w*)(?:\s+(.*))?", text.strip(), flags=re.DOTALL)
    return (match[1].lower(), (match[2] or "").strip()) if match else None


def unknown(name: str) -> str:
    """The line for a command that does not exist, with the nearest name."""
    near = difflib.get_close_matches(name, commands(), n=1, cutoff=0.5)
    return (
        f"There is no /{name}; did you mean /{near[0]}?" if near else f"There is no /{name}; /help lists the commands."
    )


async def run(chat: "ChatScreen", text: str) -> bool:
    """Run a slash command; False when ``text`` is a question. What it has to say stands in the conversation."""
    parsed = parse(text)
    if parsed is None:
        return False
    name, argument = parsed
    found = commands().get(name)
    if found is None:
        await chat.note(unknown(name), "warning")
    elif found.needs_argument and not argument:
        await chat.note(f"{found.usage}: {found.summary}", "warning")
    else:
        await found.run(chat, argument)
    return True
