"""What a first run finds out and asks: the machine, the person's name and language, and the logs that are here."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memory.discover import LOG_SUFFIXES, log_folders
from memory.files import write_atomic
from memory.home import Home
from molting_agent.clean import clean_line

MET = ".met"
"""Written once the person has been greeted, or has waved it off."""
MAX_CHARS = 80


@dataclass(frozen=True, slots=True)
class Machine:
    """What is here to think with; ``memory_bytes`` 0 where the system does not say."""

    cores: int
    memory_bytes: int

    @property
    def line(self) -> str:
        """``2 cores, 16 GB of memory``"""
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        return f"{cores}, {self.memory_bytes / 1e9:.0f} GB of memory" if self.memory_bytes else cores


@dataclass(frozen=True, slots=True)
class FoundLogs:
    """Logs that another program keeps: how many files lie below the folder."""

    folder: Path
    files: int


def machine() -> Machine:
    """Cores this process may use, and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        memory = 0
    return Machine(cores, memory)


def found_logs(environment: Mapping[str, str]) -> list[FoundLogs]:
    """The folders of known programs that hold logs, most first; only names are looked at."""
    found = []
    for folder in log_folders(environment):
        count = sum(path.suffix in LOG_SUFFIXES for path in folder.rglob("*")) if folder.is_dir() else 0
        if count:
            found.append(FoundLogs(folder, count))
    return sorted(found, key=lambda one: -one.files)


def is_first_run(home: Home) -> bool:
    """Nobody was greeted here yet, and nothing was said."""
    return not (home.root / MET).exists() and not any(home.sessions_dir.glob("*.jsonl"))


def met(home: Home) -> None:
    """The greeting is over, whatever was answered."""
    (home.root / MET).touch(mode=0o600)


def user_text(before: str, name: str, language: str) -> str:
    """USER.md with the name and the language; what is empty changes nothing (pure)."""
    name, language = clean_line(name)[:MAX_CHARS], clean_line(language)[:MAX_CHARS]
    text = before
    if name:
        text = _with_line(text, "Call them", name)
    return _with_line(text, "Speaks", language) if language else text


def _with_line(text: str, label: str, value: str) -> str:
    """The bullet ``- label: value`` in the place of the old one, else at the end."""
    line = f"- {label}: {value}"
    pattern = re.compile(rf"^- {re.escape(label)}:.*$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda _match: line, text, count=1)
    return f"{text.rstrip()}\n{line}\n"


def write_user(home: Home, name: str, language: str) -> bool:
    """Write the answers into USER.md; False when there was nothing to write."""
    path = home.identity_dir / "USER.md"
    before = path.read_text(encoding="utf-8") if path.exists() else "# USER\n"
    after = user_text(before, name, language)
    if after != before:
        write_atomic(path, after)
    return after != before
