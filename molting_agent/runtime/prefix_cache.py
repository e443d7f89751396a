"""KV states of fixed prompt prefixes on disk, named by what they depend on and by their own digest."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from memory.files import sha256_file

# A state of the identity prefix takes some 20 MB for a 135M model; older ones make room.
KEPT_FILES = 6


class PrefixCache:
    """States in ``folder``; a damaged file is found by its digest, deleted, and never reaches native code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> Path | None:
        """The intact state saved under ``key``, its time of use renewed."""
        for path in self.folder.glob(f"{key}-*.kv"):
            if path.stem.rpartition("-")[2] == sha256_file(path)[:16]:
                os.utime(path)
                return path
            path.unlink(missing_ok=True)
        return None

    def save(self, key: str, write: Callable[[Path], bool]) -> None:
        """Let ``write`` make the file and keep it; a full disk only means that there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{os.getpid()}.part"
        try:
            if write(temporary):
                temporary.rename(self.folder / f"{key}-{sha256_file(temporary)[:16]}.kv")
        except OSError:
            return
        finally:
            temporary.unlink(missing_ok=True)
        newest_first = sorted(self.folder.glob("*.kv"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in newest_first[KEPT_FILES:]:
            old.unlink(missing_ok=True)


def forget(cache_dir: Path) -> int:
    """Delete the states of a home's cache, whatever they are of: one is made anew in seconds. Returns how many went."""
    gone = 0
    for state in (cache_dir / "kv").rglob("*"):
        if state.is_file():
            state.unlink(missing_ok=True)
            gone += 1
    return gone


def prefix_key(model_sha256: str, adapter_sha256: str, context: str, tokens: Sequence[int]) -> str:
    """Name of the state of ``tokens`` under these weights; ``context`` holds whatever else changes the state's form."""
    parts = [model_sha256, adapter_sha256, context, ",".join(map(str, tokens))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
