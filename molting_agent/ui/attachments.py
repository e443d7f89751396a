"""Files named with ``@`` in a question: found by fuzzy completion, put in as text of somebody else when it is sent."""

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 4000
MAX_BYTES = 65_536
SKIPPED_FOLDERS = {"node_modules", "__pycache__", "venv", "target", "dist", "build"}
MENTION = re.compile(r"(?:(?<=\s)|^)@(?:\"(?P<quoted>[^\"\n]+)\"|(?P<plain>[^\s\"]+))")


@dataclass(frozen=True, slots=True)
class Attached:
    """The question as it is sent, what was attached, and what could not be."""

    text: str
    names: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


def files_below(folder: Path) -> list[str]:
    """Relative paths of the files in a folder and below, shallow ones first; hidden and built ones are passed over."""
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED_FOLDERS)
        base = os.path.relpath(root, folder)
        found += [name if base == "." else f"{base}/{name}" for name in sorted(names) if not name.startswith(".")]
        if len(found) >= MAX_FILES:
            break
    return sorted(found[:MAX_FILES], key=lambda name: (name.count("/"), name))


def mention_at(text: str) -> str | None:
    """What is typed after an ``@`` that the text ends in; None where there is none."""
    match = re.search(r"(?:^|\s)@([^\s\"]*)$", text)
    return match[1] if match else None


def matching(query: str, names: Iterable[str], limit: int = 8) -> list[str]:
    """The names that have the letters of ``query`` in order, the tightest match first (pure)."""
    letters = query.casefold()
    scored = []
    for name in names:
        span = _span(letters, name.casefold())
        if span is not None:
            in_base = letters in name.rpartition("/")[2].casefold()
            scored.append(((not in_base, span, len(name)), name))
    return [name for _score, name in sorted(scored)[:limit]]


def _span(letters: str, name: str) -> int | None:
    """How far the letters lie apart in ``name``; None when they are not all there in this order."""
    if not letters:
        return 0
    if letters in name:
        return len(letters)
    at, start = -1, 0
    for index, letter in enumerate(letters):
        at = name.find(letter, at + 1)
        if at < 0:
            return None
        start = at if index == 0 else start
    return at - start + 1


def attach(text: str, folder: Path) -> Attached:
    """The question with the text of each file that is named and there; a name that is no file stays as it is."""
    names: list[str] = []
    troubles: list[str] = []
    blocks: list[str] = []
    for match in MENTION.finditer(text):
        name = match["quoted"] or match["plain"].rstrip(".,;:!?)")
        path = (folder / Path(name).expanduser()).absolute()
        if name in names or not _is_there(path):
            continue
        content, trouble = _read(path)
        if trouble:
            troubles.append(f"{name}: {trouble}")
        else:
            names.append(name)
            blocks.append(f'<file path="{name}">\n{content}\n</file>')
    return Attached("\n\n".join([text, *blocks]), tuple(names), tuple(troubles))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _read(path: Path) -> tuple[str, str]:
    """(text, why not). The end of the wrapping is taken out of the text, so that it cannot leave it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "", "not a file"
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return "", f"cannot be read ({error.strerror})"
    if len(data) > MAX_BYTES:
        return "", f"over {MAX_BYTES // 1024} kB; attach a part of it, or read it in: /ingest {path}"
    if b"\0" in data:
        return "", "not text"
    return re.sub(r"</(?=file)", "< /", data.decode("utf-8", errors="replace"), flags=re.I).strip("\n"), ""
