"""Reading, listing and searching files, and writing one: inside the allowed folders, and never where secrets are."""

import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from molting_agent.clean import clean_line
from molting_agent.tools.paths import (
    as_text,
    is_allowed,
    opened_folder,
    outside,
    read_bytes,
    read_text,
    refusal,
    settle,
)
from molting_agent.tools.tool import Place, Tool, ToolError

LISTED = 200
SEARCHED_FILES = 5_000
SEARCH_S = 5.0
MATCHES = 50
LINE_CHARS = 160
WRITE_LIMIT_CHARS = 64_000

File = Annotated[str, Field(description="the file, such as notes.txt", min_length=1, max_length=500)]
Folder = Annotated[str, Field(description="the folder; . is the current one", min_length=1, max_length=500)]
Text = Annotated[str, Field(description="what the file shall hold", max_length=WRITE_LIMIT_CHARS)]
Words = Annotated[str, Field(description="what to look for", min_length=1, max_length=200)]


def read_file(_place: Place, path: File) -> str:
    """Read a text file."""
    return read_text(Path(path))


def list_folder(_place: Place, path: Folder = ".") -> str:
    """List the files in a folder."""
    real = Path(path)
    with opened_folder(real) as folder:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - of a descriptor
        lines = [_entry(folder, name) for name in names[:LISTED]]
    if len(names) > LISTED:
        lines.append(f"and {len(names) - LISTED:,} more")
    return "\n".join(lines) or "The folder is empty."


def search_files(place: Place, text: Words, path: Folder = ".") -> str:
    """Search the files below a folder for some words."""
    real = Path(path)
    lines: list[str] = []
    until = time.monotonic() + SEARCH_S
    for count, (name, content) in enumerate(_texts(real)):
        if time.monotonic() > until or place.is_stopped() or count >= SEARCHED_FILES:
            lines.append(f"stopped after {count:,} files; name a smaller folder")
            break
        for number, line in enumerate(content.splitlines(), 1):
            if text.lower() in line.lower():
                lines.append(f"{name}:{number}: {clean_line(line)[:LINE_CHARS]}")
        if len(lines) >= MATCHES:
            lines = [*lines[:MATCHES], "and perhaps more; ask for rarer words"]
            break
    return "\n".join(lines) or f"No file below {real} holds {clean_line(text)!r}."


def write_file(place: Place, path: File, text: Text) -> str:
    """Write a text into a file; what it held before is replaced."""
    real = Path(path)
    check_writable(place, real)
    with opened_folder(real.parent) as folder:
        mode = _old_mode(folder, real.name)
        temporary = f".{real.name[:100]}.{secrets.token_hex(4)}.part"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text if text.endswith("\n") else f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), mode)
            # A rename replaces whatever stands there by then, a link too, and follows none.
            os.rename(temporary, real.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    return f"{real} is written: {len(text):,} characters."


def check_writable(place: Place, path: Path) -> None:
    """Errors: ToolError where he may never write: outside the allowed folders, in his own home, in .git."""
    home = place.home.root.resolve()
    if path == home or home in path.parents:
        raise ToolError(f"{path} belongs to his own home, which tools never write; remember and forget do")
    if not is_allowed(place, path):
        raise ToolError(f"{path} is outside the folders of [tools] in config.toml; nothing is written there")
    if ".git" in (part.lower() for part in path.parts):  # some file systems do not tell them apart
        raise ToolError(f"{path} is git's own; nothing is written there")


def _old_mode(folder: int, name: str) -> int:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return 0o644
    if not stat.S_ISREG(status.st_mode):
        raise ToolError(f"{name} is there and is no ordinary file; it is left alone")
    if status.st_nlink > 1:
        raise ToolError(f"{name} has other names elsewhere (hard links) and is left alone")
    return stat.S_IMODE(status.st_mode) & 0o777


def _entry(folder: int, name: str) -> str:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return clean_line(name)
    shown = clean_line(name)
    if stat.S_ISDIR(status.st_mode):
        return f"{shown}/"
    if stat.S_ISLNK(status.st_mode):
        return f"{shown} (link)"
    return f"{shown} ({status.st_size:,} bytes)" if stat.S_ISREG(status.st_mode) else f"{shown} (no file)"


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    """Name and content of each text file below ``root``: no links followed, nothing hidden, nothing secret."""
    if root.is_file():
        yield root.name, read_text(root)
        return
    with opened_folder(root) as top:
        for where, folders, files, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and not refusal(Path(name)))
            for name in sorted(files):
                if name.startswith(".") or refusal(Path(name)):
                    continue
                try:
                    content = as_text(read_bytes(folder, name))
                except (ToolError, OSError):
                    continue
                if content is not None:
                    yield os.path.normpath(f"{where}/{name}"), content


def _write_action(_place: Place, arguments: dict[str, Any]) -> str:
    verb = "replace" if Path(arguments["path"]).exists() else "write the new file"
    return f"{verb} {arguments['path']} with:\n{arguments['text']}"


def _settle_write(place: Place, arguments: dict[str, Any]) -> dict[str, Any]:
    settled = settle(place, arguments)
    check_writable(place, Path(settled["path"]))  # before anybody is asked
    return settled


READ = Tool(
    "read_file", "look", read_file, lambda _place, arguments: f"read {arguments['path']}", settle=settle, leaves=outside
)
LIST = Tool(
    "list_folder",
    "look",
    list_folder,
    lambda _place, arguments: f"list {arguments['path']}",
    settle=settle,
    leaves=outside,
)
SEARCH = Tool(
    "search_files",
    "look",
    search_files,
    lambda _place, arguments: f"search {arguments['path']} for {arguments['text']!r}",
    settle=settle,
    leaves=outside,
)
WRITE = Tool("write_file", "act", write_file, _write_action, settle=_settle_write)
