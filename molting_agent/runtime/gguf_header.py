"""Reads the header of a GGUF file to know, before native code opens it, that it is whole (ggml/docs/gguf.md)."""

import math
import mmap
import struct
from pathlib import Path

from memory.errors import ModelError

# Value types of the metadata: struct format by type number; 8 is a string, 9 an array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# Bytes a block and weights a block of the tensor types that occur (ggml-common.h).
BLOCKS = {
    0: (4, 1), 1: (2, 1), 2: (18, 32), 3: (20, 32), 6: (22, 32), 7: (24, 32), 8: (34, 32), 9: (36, 32),
    10: (84, 256), 11: (110, 256), 12: (144, 256), 13: (176, 256), 14: (210, 256), 15: (292, 256),
    24: (1, 1), 25: (2, 1), 26: (4, 1), 27: (8, 1), 28: (8, 1), 30: (2, 1),
}  # fmt: skip
LIMIT = 1 << 40


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def scalar(self, form: str) -> int | float | bool:
        (value,) = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def count(self) -> int:
        value = int(self.scalar("Q"))
        if value > LIMIT:
            raise ValueError("a count is absurdly large")
        return value

    def string(self) -> str:
        size = self.count()
        if self.at + size > len(self.data):
            raise ValueError("a string runs past the end")
        raw = self.data[self.at : self.at + size]
        self.at += size
        return raw.decode("utf-8", "replace")

    def value(self, kind: int) -> object:
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            of, size = int(self.scalar("I")), self.count()
            if of in SCALARS:
                self.at += size * struct.calcsize("<" + SCALARS[of])
                return None
            for _ in range(size):
                self.value(of)
            return None
        return self.scalar(SCALARS[kind])


def check_gguf(path: Path) -> str:
    """The file's general.type ("model" where it names none). Errors: ModelError when missing, no GGUF, or cut short."""
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; see: molt models ls")
    if path.stat().st_size < 24:
        raise ModelError(f"{path}: not a GGUF model (only {path.stat().st_size} bytes); download it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"GGUF":
            raise ModelError(f"{path}: not a GGUF file (it begins with {bytes(data[:4])!r}); is it the right file?")
        try:
            kind, needed = _measure(data)
        except (struct.error, ValueError, KeyError, OverflowError) as error:
            raise ModelError(f"{path}: the GGUF header is damaged ({error}); download it again") from None
        if needed > len(data):
            raise ModelError(
                f"{path}: cut short: {len(data):,} bytes of at least {needed:,} are there; download it again"
            )
    return kind


def _measure(data: mmap.mmap) -> tuple[str, int]:
    """The general.type, and how long the file must be for its last tensor to be whole."""
    reader = _Reader(data)
    reader.at = 4
    version = reader.scalar("I")
    if version not in (2, 3):
        raise ValueError(f"version {version}")
    tensors, pairs = reader.count(), reader.count()
    kind, alignment = "model", 32
    for _ in range(pairs):
        name = reader.string()
        value = reader.value(int(reader.scalar("I")))
        if name == "general.type":
            kind = str(value)
        if name == "general.alignment" and isinstance(value, int):
            alignment = value
    end = 0
    for _ in range(tensors):
        reader.string()
        weights = math.prod(reader.count() for _ in range(int(reader.scalar("I"))))
        block_bytes, block_weights = BLOCKS.get(int(reader.scalar("I")), (0, 1))
        end = max(end, reader.count() + weights // block_weights * block_bytes)
    start = (reader.at + alignment - 1) // alignment * alignment
    return kind, start + end
