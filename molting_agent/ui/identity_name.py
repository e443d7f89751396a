"""The agent's name, from his IDENTITY.md (pure, but for reading the file)."""

import re
from pathlib import Path

from molting_agent.clean import clean_line

DEFAULT_NAME = "Cláudio"


def name_in(identity: str) -> str:
    """The value of the line ``- Name: Cláudio (…)`` without what stands in brackets; else the default."""
    found = re.search(r"^\W*name\W*:\W*([^(\n]+)", identity, flags=re.IGNORECASE | re.MULTILINE)
    name = clean_line(found[1]).strip("*_ ") if found else ""
    return name[:40] or DEFAULT_NAME


def agent_name(identity_dir: Path) -> str:
    """The name in a home; a missing file gives the default."""
    try:
        return name_in((identity_dir / "IDENTITY.md").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return DEFAULT_NAME
