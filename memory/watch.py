"""Notices that files of the home were edited: sizes and times compared, twice a second, whatever edited them.

Looking is chosen over inotify and its kin (``watchfiles``): it sees network folders, needs no limit of the system
raised and no further package, and costs 0.1 ms for ten files. Where there are thousands it looks less often, so that it
never takes more than a fiftieth of one core.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from memory.discover import MARKDOWN_SUFFIXES
from memory.home import Home

INTERVAL_S = 0.5
SHARE_OF_A_CORE = 0.02


class Watcher:
    """Looks at MEMORY.md, the notes and the identity files in a daemon thread.

    ``on_change`` is called after an edit, ``on_look`` after every look; both in the watcher's thread, where an error of
    theirs ends nothing.
    """

    def __init__(self, home: Home, on_change: Callable[[], None], on_look: Callable[[], None]) -> None:
        self._home = home
        self._on_change = on_change
        self._on_look = on_look
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin; what was edited before is not told."""
        self._seen = looks_of(self._home)
        self._thread.start()

    def close(self) -> None:
        """Stop looking; does not wait."""
        self._closing.set()

    def _run(self) -> None:
        pause_s = INTERVAL_S
        while not self._closing.wait(pause_s):
            begin_s = time.perf_counter()
            now = looks_of(self._home)
            pause_s = max(INTERVAL_S, (time.perf_counter() - begin_s) / SHARE_OF_A_CORE)
            if now != self._seen:
                self._seen = now
                self._on_change()
            self._on_look()


def looks_of(home: Home) -> dict[str, tuple[int, int, int]]:
    """Size, time and number of each watched file by its path."""
    found = {}
    for path in _watched(home):
        try:
            status = path.stat()
        except OSError:  # gone between listing and looking, or not ours to read: as good as absent
            continue
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def _watched(home: Home) -> Iterator[Path]:
    yield home.memory_file
    yield home.config_file
    for folder in (home.notes_dir, home.identity_dir):
        yield from (path for path in folder.rglob("*") if path.suffix in MARKDOWN_SUFFIXES)
