"""Room for an export: enough disk, a working folder beside the target, and one rename when all is proved."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory.errors import HomeError
from memory.files import fsync_folder, sha256_file

SPARE_BYTES = 200_000_000
"""Left free beside what an export needs."""


def need_space(folder: Path, needed_bytes: int) -> None:
    """Errors: HomeError when the disk of ``folder`` has no room for ``needed_bytes`` and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        raise HomeError(
            f"{folder}: {(needed_bytes + SPARE_BYTES) / 1e6:,.0f} MB are needed there and {free / 1e6:,.0f} MB are "
            "free; make room, or name another place: --out PATH"
        )


@contextmanager
def working_folder(target: Path) -> Iterator[Path]:
    """An empty hidden folder beside ``target``, removed at the end; what a killed export left there goes first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(made: Path, target: Path) -> None:
    """Move the finished file or folder to its place by one rename, its bytes on disk first."""
    for path in sorted(made.rglob("*")) if made.is_dir() else [made]:
        if path.is_file():
            path.chmod(0o644)
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if made.is_dir():
        made.chmod(0o755)
        fsync_folder(made)
    made.rename(target)
    fsync_folder(target.parent)


def describe(target: Path) -> dict[str, tuple[str, int]]:
    """``{name: (sha256, bytes)}`` of an exported file, or of every file in an exported folder."""
    if target.is_file():
        return {target.name: (sha256_file(target), target.stat().st_size)}
    files = sorted(path for path in target.rglob("*") if path.is_file())
    return {str(path.relative_to(target)): (sha256_file(path), path.stat().st_size) for path in files}
