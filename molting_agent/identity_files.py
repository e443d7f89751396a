"""The files that say who he is and for whom: where they are, what they shipped as, and what has changed since."""

import difflib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from memory.errors import HomeError, UsageError
from memory.files import write_atomic
from memory.home import Home

MAX_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class IdentityFile:
    """One file of a home. ``shipped`` is the name in the package that it was made from."""

    name: str
    path: Path
    shipped: str
    what: str


def identity_files(home: Home) -> list[IdentityFile]:
    """SOUL, IDENTITY, USER and MEMORY, in the order he reads them, whether or not they are there."""
    return [
        IdentityFile("SOUL.md", home.identity_dir / "SOUL.md", "SOUL.md", "what he cares about and how he behaves"),
        IdentityFile("IDENTITY.md", home.identity_dir / "IDENTITY.md", "IDENTITY.md", "who he is"),
        IdentityFile("USER.md", home.identity_dir / "USER.md", "templates/USER.md", "whom he lives with"),
        IdentityFile("MEMORY.md", home.memory_file, "templates/MEMORY.md", "what he was told to remember"),
        IdentityFile("HEARTBEAT.md", home.root / "HEARTBEAT.md", "", "what he looks after when nobody asks"),
    ]


def find_file(home: Home, name: str) -> IdentityFile:
    """A file by its name, with or without ``.md``, in any case. Errors: UsageError."""
    files = identity_files(home)
    for file in files:
        if name.casefold() in (file.name.casefold(), file.name[:-3].casefold()):
            return file
    raise UsageError(f"{name}: no identity file; there are: {', '.join(file.name for file in files)}")


def read_file(file: IdentityFile) -> str:
    """Its text; "" when it is not there. Errors: HomeError."""
    try:
        return file.path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise HomeError(f"{file.path} cannot be read ({error}); mend it in an editor") from None


def write_file(file: IdentityFile, text: str) -> None:
    """Replace it whole. Errors: UsageError when it is too long to be read with every question, HomeError."""
    if len(text.encode()) > MAX_BYTES:
        raise UsageError(f"{file.name}: over {MAX_BYTES:,} bytes; he could not read that")
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(file.path, text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        raise HomeError(f"{file.path} cannot be written ({error.strerror})") from None


def diff(file: IdentityFile) -> str:
    """A unified diff from what was shipped to what stands now; "" when nothing changed."""
    if not file.shipped:
        return ""
    shipped = resources.files("identity").joinpath(file.shipped).read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        shipped.splitlines(), read_file(file).splitlines(), f"shipped/{file.name}", f"here/{file.name}", lineterm=""
    )
    return "\n".join(lines)
