"""A place for tools to work in, with a home beside it and secrets around both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.home import Home
from molting_agent.tools.registry import TOOLS
from molting_agent.tools.tool import Outcome, Place, ToolError

CANARY = "CANARY-7f3a-must-not-be-seen"


@dataclass
class Yard:
    """``work`` is the allowed folder, ``person`` the hidden home folder, ``outside`` neither."""

    root: Path
    work: Path
    person: Path
    outside: Path
    home: Home
    place: Place

    def use(self, name: str, **arguments: Any) -> Outcome:
        """A tool as the agent uses it after the person agreed to anything: checked, settled, run."""
        tool = TOOLS[name]
        try:
            return tool.run(self.place, tool.settle(self.place, tool.check(arguments)))
        except ToolError as error:
            return Outcome(str(error), ok=False)


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below ``root`` with its mode and content."""
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
        if not path.is_fifo() and not path.is_symlink()
    }
