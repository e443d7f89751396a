"""Which paths tools may touch, and opening them so that no symbolic link, race, device or hard link leads elsewhere.

A path is resolved first, so that it can be shown and compared with the allowed folders as what it is. Then it is
opened from the root, part by part, with O_NOFOLLOW: whatever is swapped for a link in between is refused, not followed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from molting_agent.tools.tool import Place, ToolError

FILE_LIMIT_BYTES = 1_000_000
PROBE_BYTES = 8192
KERNEL_FOLDERS = ("/proc", "/sys", "/dev", "/run")
SECRETS = frozenset(
    """
    .ssh .gnupg .aws .azure .kube .docker .password-store .mozilla .thunderbird keyrings .netrc .git-credentials .pgpass
    .npmrc .pypirc .vault-token .env .envrc gcloud shadow gshadow shadow- gshadow- sudoers sudoers.d
    """.split()  # noqa: SIM905 - a list of names that is read
)
SECRET_ENDINGS = (".pem", ".key", ".p12", ".pfx", ".kdbx", ".keystore", ".jks")
SECRET_BEGINNINGS = ("id_rsa", "id_ed25519", "id_ecdsa", "id_dsa", ".env.")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a fifo would wait for whoever writes to it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def find(place: Place, text: str) -> Path:
    """The real path that ``text`` names, from the current folder. Errors: ToolError where no tool may ever go."""
    text = text.strip()
    if not text or "\0" in text:
        raise ToolError("an empty path names nothing; give a file or folder")
    named = place.cwd / Path(text).expanduser() if not text.startswith("~") else Path(text).expanduser()
    try:
        real = named.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise ToolError(f"{text}: cannot be found ({error})") from None
    for path in (Path(os.path.normpath(named)), named, real):
        why = refusal(path)
        if why:
            raise ToolError(f"{text}: {why}")
    return real


def refusal(path: Path) -> str:
    """Why no tool may touch ``path``, whoever agrees; "" where it may (pure)."""
    text = str(path)
    if any(text == folder or text.startswith(f"{folder}/") for folder in KERNEL_FOLDERS):
        return "devices and the kernel's own files are never opened"
    for part in path.parts:
        low = part.lower()
        if low in SECRETS or low.endswith(SECRET_ENDINGS) or low.startswith(SECRET_BEGINNINGS):
            return f"{part} is where secrets are kept; no tool opens it"
    return ""


def is_allowed(place: Place, path: Path) -> bool:
    """Whether a real path is one of the allowed folders or below one."""
    return any(path == folder or folder in path.parents for folder in place.folders)


def settle(place: Place, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the real path in the place of what was written. Errors: ToolError."""
    return {**arguments, "path": str(find(place, arguments["path"]))}


def outside(place: Place, arguments: dict[str, Any]) -> str:
    """The real path if it lies outside the allowed folders, else ""."""
    path = arguments["path"]
    return "" if is_allowed(place, Path(path)) else path


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """A descriptor of a real folder, reached without following a link. Errors: ToolError."""
    descriptor = os.open("/", _DIRECTORY)
    try:
        for part in path.parts[1:]:
            try:
                below = os.open(part, _DIRECTORY, dir_fd=descriptor)
            except OSError as error:
                raise ToolError(f"{path}: {_said(error, 'no such folder')}") from None
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def read_bytes(folder: int, name: str, limit_bytes: int = FILE_LIMIT_BYTES) -> bytes:
    """The file ``name`` in an open folder, at most ``limit_bytes`` and one more. Errors: ToolError, OSError."""
    descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise ToolError(f"{name} is a folder; list it instead")
        if not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{name} is no ordinary file")
        if status.st_nlink > 1:
            raise ToolError(f"{name} has other names elsewhere (hard links) and is left alone")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(limit_bytes + 1)
    finally:
        os.close(descriptor)


def read_text(path: Path) -> str:
    """A text file at a real path. Errors: ToolError for what is too large, no text, or not there."""
    with opened_folder(path.parent) as folder:
        try:
            data = read_bytes(folder, path.name)
        except OSError as error:
            raise ToolError(f"{path}: {_said(error, 'no such file')}") from None
    if len(data) > FILE_LIMIT_BYTES:
        raise ToolError(f"{path} is larger than {FILE_LIMIT_BYTES // 1000:,} kB; ask for a part of it by a search")
    text = as_text(data)
    if text is None:
        raise ToolError(f"{path} is no text")
    return text


def as_text(data: bytes) -> str | None:
    """The text in ``data``; None when it is binary (pure)."""
    if b"\0" in data[:PROBE_BYTES]:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        return text if text.count("\ufffd") <= len(text) // 50 else None


def _said(error: OSError, missing: str) -> str:
    if isinstance(error, FileNotFoundError):
        return missing
    if error.errno in (40, 20):  # ELOOP, ENOTDIR: a link, or no folder, where there was one a moment ago
        return "a link or a file stands where a folder should be"
    return (error.strerror or str(error)).lower()
