"""The signals of one teacher on disk: content-addressed, append-only, memory-mapped, whole after any crash.

``signals.bin`` is the truth: a file header with a random generation, then records that each carry their key and a
crc32. ``signals.idx`` (key, place, size) only saves reading it whole: it names the generation it belongs to, and what
it lacks is found by reading on from where it ends. A record counts as kept when ``add`` has returned (fsync).
"""

import contextlib
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from distill.signals.record import MAGIC, Signal, decode, encode, head_of, size_of, source_of
from memory.errors import HomeError, TrainingError
from memory.files import file_lock, fsync_folder, write_atomic
from memory.home import Home

DATA, INDEX, TORN, LOCK = "signals.bin", "signals.idx", "signals.torn", "lock"
FILE_HEAD = struct.Struct("<8s16s")
FILE_MAGIC = b"MOLTSIGS"
ENTRY = struct.Struct("<32sQIII")


def signals_dir(home: Home) -> Path:
    """Where the signals of all teachers of a home are, a folder each."""
    return home.root / "signals"


class _Place(NamedTuple):
    offset: int
    size: int
    tokens: int


class SignalStore:
    """The signals of one teacher. Many may read; ``writing`` makes this object the one that adds.

    Of several records with one key the last holds. A reader sees what was added since when it asks for a key it does
    not know. Errors: HomeError where the files cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.set_aside_bytes = 0
        self._places: dict[str, _Place] = {}
        self._generation = b""
        self._end = 0
        self._map: mmap.mmap | None = None
        self._data: int | None = None
        self._index: int | None = None
        self._refresh()

    def __contains__(self, key: str) -> bool:
        return self._bytes(key) is not None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def tokens(self) -> int:
        """Of all signals together."""
        return sum(place.tokens for place in self._places.values())

    @property
    def size_bytes(self) -> int:
        """On disk, heads and sources included, of all signals together."""
        return sum(place.size for place in self._places.values())

    def get(self, key: str) -> Signal | None:
        """The signal of a key (hex sha256); None where there is none, or it is damaged."""
        found = self._bytes(key)
        return None if found is None else decode(found).signal

    def _bytes(self, key: str) -> memoryview | None:
        if key not in self._places and self._data is None:
            self._refresh()
        place = self._places.get(key)
        if place is None:
            return None
        if self._map is None or place.offset + place.size > len(self._map):
            self._remap()
        assert self._map is not None  # noqa: S101 - a place is a place in the file
        record = memoryview(self._map)[place.offset : place.offset + place.size]
        return record if size_of(record) == place.size else None

    # -- writing -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store for adding; a torn tail goes to ``signals.torn``. Errors: TrainingError when it is held."""
        with _errors(self.folder), file_lock(self.folder / LOCK, blocking=False) as free:
            if not free:
                raise TrainingError(f"{self.folder}: another run is scoring with this teacher; wait for it to end")
            self.folder.chmod(0o700)
            self._begin()
            try:
                yield
            finally:
                for descriptor in (self._data, self._index):
                    if descriptor is not None:
                        os.close(descriptor)
                self._data = self._index = None

    def add(self, signals: Iterable[tuple[str, Signal, Collection[str]]]) -> None:
        """Keep signals under their keys with the ids they are forgotten by: all on disk (fsync) when this returns."""
        if self._data is None or self._index is None:
            raise RuntimeError("add needs SignalStore.writing()")
        records = [
            (key, len(signal), encode(key, signal, {source_of(name) for name in ids})) for key, signal, ids in signals
        ]
        with _errors(self.folder):
            try:
                _write(self._data, b"".join(record for _key, _tokens, record in records), self._end)
                os.fsync(self._data)
            except OSError:
                os.ftruncate(self._data, self._end)  # a full disk: what was kept before stays as it was
                raise
            entries = []
            for key, tokens, record in records:
                place = _Place(self._end, len(record), tokens)
                entries.append(_entry(key, place))
                self._places[key] = place
                self._end += len(record)
            # Not synced: what a crash takes from the index is found in the data.
            _write(self._index, b"".join(entries), os.fstat(self._index).st_size)

    def remove(self, sources: Collection[int]) -> int:
        """Write the data file anew without what comes from ``sources``, directly or by another record.

        A record may name another by its key, as replies scored under one memory file do; it stands behind that one.
        The caller holds the lock. Returns how many records went.
        """
        if self._map is None or not self._generation:
            (self.folder / DATA).unlink(missing_ok=True)
            return 0
        view, gone, kept = memoryview(self._map), set(sources), []
        removed = 0
        for key, place in sorted(self._places.items(), key=lambda item: item[1].offset):
            record = view[place.offset : place.offset + place.size]
            if not size_of(record):
                continue
            if gone.isdisjoint(head_of(record)[2]):
                kept.append(record)
            else:
                gone.add(source_of(key))
                removed += 1
        if removed or sum(map(len, kept)) + FILE_HEAD.size != len(view):
            temporary = self.folder / f".{DATA}.part"
            with temporary.open("wb") as file:
                temporary.chmod(0o600)
                file.write(FILE_HEAD.pack(FILE_MAGIC, secrets.token_bytes(16)))
                file.writelines(kept)
                file.flush()
                os.fsync(file.fileno())
            (self.folder / INDEX).unlink(missing_ok=True)
            temporary.rename(self.folder / DATA)
            fsync_folder(self.folder)
        return removed

    def _begin(self) -> None:
        """Have a whole data file and an index of all of it, both open."""
        path = self.folder / DATA
        self._refresh()
        if not self._generation:
            if path.exists():
                self._set_aside(path.read_bytes())
            write_atomic(path, FILE_HEAD.pack(FILE_MAGIC, secrets.token_bytes(16)))
            self._refresh()
        self._data = os.open(path, os.O_RDWR)
        if (size := os.fstat(self._data).st_size) > self._end:
            self._set_aside(os.pread(self._data, size - self._end, self._end))
            os.ftruncate(self._data, self._end)
            os.fsync(self._data)
            self._remap()
        entries = [_entry(key, place) for key, place in self._places.items()]
        write_atomic(self.folder / INDEX, FILE_HEAD.pack(FILE_MAGIC, self._generation) + b"".join(entries))
        self._index = os.open(self.folder / INDEX, os.O_RDWR)

    def _set_aside(self, torn: bytes) -> None:
        with (self.folder / TORN).open("ab") as file:
            file.write(torn)
            os.fsync(file.fileno())
        self.set_aside_bytes += len(torn)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Take in what stands in the files now."""
        with _errors(self.folder):
            generation = self._remap()
            if generation != self._generation:
                self._places, self._end, self._generation = {}, FILE_HEAD.size, generation
                self._read_index()
            self._read_on()

    def _remap(self) -> bytes:
        """Map the data file anew; its generation, b"" where there is no store yet."""
        try:
            with (self.folder / DATA).open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):  # ValueError: an empty file
            self._map = None
            return b""
        if len(self._map) < FILE_HEAD.size:
            return b""
        magic, generation = FILE_HEAD.unpack(self._map[: FILE_HEAD.size])
        return generation if magic == FILE_MAGIC else b""

    def _read_index(self) -> None:
        try:
            index = (self.folder / INDEX).read_bytes()
        except FileNotFoundError:
            return
        if self._map is None or index[: FILE_HEAD.size] != FILE_HEAD.pack(FILE_MAGIC, self._generation):
            return
        whole = (len(index) - FILE_HEAD.size) // ENTRY.size * ENTRY.size
        for key, offset, size, tokens, crc in ENTRY.iter_unpack(index[FILE_HEAD.size : FILE_HEAD.size + whole]):
            place = _Place(offset, size, tokens)
            if crc != _crc(key, place) or offset + size > len(self._map):
                return
            self._places[key.hex()] = place
            self._end = max(self._end, offset + size)

    def _read_on(self) -> None:
        """Find the records behind the last known one; what is damaged between two whole ones is passed over."""
        if self._map is None or not self._generation:
            return
        at, view = self._end, memoryview(self._map)
        while 0 <= at < len(view):
            if size := size_of(view[at:]):
                key, tokens, _sources = head_of(view[at:])
                self._places[key] = _Place(at, size, tokens)
                self._end = at = at + size
            else:
                at = self._map.find(MAGIC, at + 1)


def forget(home: Home, ids: Collection[str]) -> int:
    """Remove every signal that came from these conversations, messages or memories; returns how many went.

    Afterwards no byte of them is in HOME/signals: torn tails, which cannot be told apart, go too. Waits for a running
    scoring to end. Errors: HomeError.
    """
    wanted = {source_of(name) for name in ids}
    removed = 0
    for folder in sorted(signals_dir(home).glob("*/")) if wanted else ():
        with _errors(folder), file_lock(folder / LOCK):
            (folder / TORN).unlink(missing_ok=True)
            removed += SignalStore(folder).remove(wanted)
    return removed


def _entry(key: str, place: _Place) -> bytes:
    name = bytes.fromhex(key)
    return ENTRY.pack(name, *place, _crc(name, place))


def _crc(key: bytes, place: _Place) -> int:
    return zlib.crc32(repr((key, *place)).encode())


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


@contextlib.contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HomeError(
            f"{error.filename or folder}: {error.strerror}; make room or mend it, then run it again"
        ) from error
