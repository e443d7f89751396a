"""One act of a turn: chosen, settled, agreed to or refused, done, and told as events; the reply comes after it."""

import os
import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from memory.errors import EngineError
from memory.home import Home
from molting_agent.clean import clean
from molting_agent.config import ToolSettings
from molting_agent.events import Event, Notice, ToolFinished, ToolStarted
from molting_agent.runtime.template import knows_tools
from molting_agent.speaker import Speaker
from molting_agent.tools.choose import Call, choose
from molting_agent.tools.native import NATIVE_PARAMETERS, choose_natively
from molting_agent.tools.registry import enabled_tools
from molting_agent.tools.results import SHOWN_CHARS, ToolUse, cut
from molting_agent.tools.tool import Place, Tool, ToolError

if TYPE_CHECKING:
    from memory.api import Memory

Answer = Literal["once", "session", "no"]
REFUSED = "The person said no; nothing was done."


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person is asked: ``action`` is exactly what will be done, cleaned; ``tool`` is the tool's name."""

    tool: str
    action: str


Consent = Callable[[Proposal], Answer]


class Acting:
    """The tools of one agent; ``always`` holds what was agreed to for as long as he is open: tool, action, folder."""

    def __init__(
        self,
        home: Home,
        settings: ToolSettings,
        speaker: Speaker,
        *,
        open_memory: "Callable[[], Memory]",
        forget: Callable[[str], Any],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._home = home
        self._settings = settings
        self._tools = enabled_tools(settings.enabled)
        self._speaker = speaker
        self._open_memory = open_memory
        self._forget = forget
        self._is_stopped = is_stopped
        self.always: set[tuple[str, str, str]] = set()

    def turn(self, text: str, consent: Consent, *, only_look: bool = False) -> Generator[Event, None, list[ToolUse]]:
        """``act``; a worker that dies over it costs a notice and never the reply."""
        try:
            return (yield from self.act(text, consent, only_look=only_look))
        except EngineError as error:
            yield Notice(f"no tool was used ({error})", "warning")
            return []

    def act(self, text: str, consent: Consent, *, only_look: bool = False) -> Generator[Event, None, list[ToolUse]]:
        """Events of the act that ``text`` asks for, if any; returns what was used. Errors: EngineError.

        ``only_look``: tools that act are not there to be chosen, because nobody is there to be asked.
        """
        tools = {name: tool for name, tool in self._tools.items() if tool.effect == "look" or not only_look}
        call = self._choose(tools, text)
        if call is None:
            return []
        use_id = secrets.token_hex(6)
        started = ToolUse(use_id, call.tool.name, call.arguments, "")
        yield ToolStarted(use_id, started.shown_call)
        state, result = self._do(call, consent)
        use = ToolUse(use_id, call.tool.name, call.arguments, cut(result, SHOWN_CHARS), state)
        yield ToolFinished(use)
        return [use]

    def place(self) -> Place:
        """Where tools work now: the current folder may have changed."""
        settings, cwd = self._settings, Path.cwd()
        return Place(
            home=self._home,
            cwd=cwd.resolve(),
            folders=allowed_folders(settings, self._home.root, cwd),
            open_memory=self._open_memory,
            forget=self._forget,
            timeout_s=settings.timeout_s,
            memory_mib=settings.memory_mib,
            is_stopped=self._is_stopped,
        )

    def _choose(self, tools: Mapping[str, Tool], text: str) -> Call | None:
        info = self._speaker.engine.info
        if knows_tools(info.chat_template) and info.parameters >= NATIVE_PARAMETERS:
            return choose_natively(self._speaker.engine, tools, text)
        return choose(self._speaker.engine, tools, text)

    def _do(self, call: Call, consent: Consent) -> tuple[str, str]:
        """How it went and what the tool said."""
        tool, place = call.tool, self.place()
        try:
            arguments = tool.settle(place, call.arguments)
            if asks(tool, place, arguments) and not self._agreed(tool, place, arguments, consent):
                return "refused", REFUSED
        except ToolError as error:
            return "failed", str(error)
        outcome = tool.run(place, arguments)
        return ("done" if outcome.ok else "failed"), outcome.text

    def _agreed(self, tool: Tool, place: Place, arguments: dict[str, Any], consent: Consent) -> bool:
        """Whether the person agrees, or did for this session. Errors: ToolError where they could not know to what."""
        action = tool.action(place, arguments)
        if clean(action) != action:
            raise ToolError("it holds characters that cannot be shown, so nobody can agree to it; nothing was done")
        key = (tool.name, action, str(place.cwd))
        if key in self.always:
            return True
        answer = consent(Proposal(tool.name, action))
        if answer not in ("once", "session"):
            return False
        # The answer may have taken minutes, and the same words may mean something else by now.
        if tool.action(place, arguments) != action:
            raise ToolError("what it would change is no longer what was shown; nothing was done")
        if answer == "session":
            self.always.add(key)
        return True


def asks(tool: Tool, place: Place, arguments: Mapping[str, Any]) -> bool:
    """Whether a person has to agree: to whatever acts, and to a look outside the allowed folders."""
    return tool.effect == "act" or bool(tool.leaves(place, dict(arguments)))


def allowed_folders(settings: ToolSettings, home: Path, cwd: Path) -> tuple[Path, ...]:
    """The real folders of [tools] folders; where none are named, the home and the current folder.

    A named folder that is a link within another one is left out: a command may write there, and could have put the link
    to wherever it wants to get.
    """
    named = [Path(folder).expanduser() for folder in settings.folders] or [home, cwd]
    real: dict[Path, Path] = {}
    for folder in named:
        with suppress(OSError, RuntimeError):
            real[folder.resolve()] = Path(os.path.abspath(folder))  # noqa: PTH100 - links are to stay
    kept = [
        path
        for path, written in real.items()
        if not any(other in written.parents and other != path and other not in path.parents for other in real)
    ]
    return tuple(kept)
