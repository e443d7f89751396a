"""What a teacher says of one reply, token by token, and its form on disk: about 185 bytes a token at k = 32."""

import hashlib
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAGIC = b"MOLTSIG1"
# magic, key, tokens, k, temperatures, sources, crc32 of all else
HEAD = struct.Struct("<8s32sIHHII")
CRC_AT = HEAD.size - 4
# No tokenizer has 2^24 tokens: three bytes a token id save 33 a token at k = 32.
ID_BYTES = 3
Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """The N tokens of a reply, the one that ends its turn included, as its teacher finds them at temperature 1.

    ``labels_N`` (uint32) are the tokens in the teacher's vocabulary, ``ends_N`` (uint32) the byte offset in the reply's
    text behind each (control tokens have no bytes), ``label_logprob_N`` (float32, nats) how likely each is after all
    before it. ``ids_NK`` (uint32) and ``logprobs_NK`` (float16, falling) are the K most probable tokens; K = 0 is
    likelihood alone, all that a teacher of another vocabulary can give. ``log_partition_NB`` (float32) is
    log sum_j p(j)^(1/T) for each of ``temperatures_B``, from which ``distill.losses.soft_targets`` takes the teacher to
    any temperature between them. Errors: ValueError where the shapes disagree.
    """

    labels_N: Array
    ends_N: Array
    label_logprob_N: Array
    ids_NK: Array
    logprobs_NK: Array
    log_partition_NB: Array
    temperatures_B: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        tokens, k = len(self.labels_N), self.ids_NK.shape[-1]
        wanted = {
            "labels_N": (tokens,),
            "ends_N": (tokens,),
            "label_logprob_N": (tokens,),
            "ids_NK": (tokens, k),
            "logprobs_NK": (tokens, k),
            "log_partition_NB": (tokens, len(self.temperatures_B)),
        }
        for name, shape in wanted.items():
            if (found := getattr(self, name).shape) != shape:
                raise ValueError(f"{name} must be {shape}, not {found}")

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def k(self) -> int:
        """How many of the most probable tokens it holds; 0: likelihood alone."""
        return self.ids_NK.shape[1]


def signal(
    labels_N: ArrayLike,
    ends_N: ArrayLike,
    label_logprob_N: ArrayLike,
    ids_NK: ArrayLike | None = None,
    logprobs_NK: ArrayLike | None = None,
    log_partition_NB: ArrayLike | None = None,
    temperatures_B: tuple[float, ...] = (),
) -> Signal:
    """A signal of any arrays, cast to the types it is kept in; without a top-k it is likelihood alone."""
    labels = np.asarray(labels_N, np.uint32)
    none = np.empty((len(labels), 0), np.float32)
    return Signal(
        labels,
        np.asarray(ends_N, np.uint32),
        np.asarray(label_logprob_N, np.float32),
        np.asarray(none if ids_NK is None else ids_NK, np.uint32),
        _half(none if logprobs_NK is None else logprobs_NK),
        np.asarray(none if log_partition_NB is None else log_partition_NB, np.float32),
        tuple(float(t) for t in temperatures_B),
    )


def _half(values: ArrayLike) -> Array:
    """float16, where what is less likely than it can say stays finite."""
    return np.clip(np.asarray(values, np.float32), float(np.finfo(np.float16).min), 0).astype(np.float16)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A signal as it lies in a store: under its key (hex sha256), with the sources it is forgotten by."""

    key: str
    signal: Signal
    sources: frozenset[int]


def source_of(name: str) -> int:
    """64 bits that stand for the id of a conversation, message or memory: an id itself may take a hundred bytes."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], "little")


def encode(key: str, signal: Signal, sources: Collection[int]) -> bytes:
    """The bytes of a record."""
    k, temperatures = signal.k, len(signal.temperatures_B)
    sizes_N = np.diff(signal.ends_N.astype(np.int64), prepend=0)
    if sizes_N.size and not 0 <= sizes_N.min() <= sizes_N.max() < 1 << 16:
        raise ValueError("ends_N must not go back, nor leap by 65,536 bytes")
    body = b"".join(
        (
            np.asarray(signal.temperatures_B, "<f4").tobytes(),
            np.asarray(sorted(sources), "<u8").tobytes(),
            _three_bytes(signal.labels_N),
            sizes_N.astype("<u2").tobytes(),
            signal.label_logprob_N.astype("<f4").tobytes(),
            _three_bytes(signal.ids_NK),
            signal.logprobs_NK.astype("<f2").tobytes(),
            signal.log_partition_NB.astype("<f4").tobytes(),
        )
    )
    head = HEAD.pack(MAGIC, bytes.fromhex(key), len(signal), k, temperatures, len(sources), 0)[:CRC_AT]
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def size_of(data: memoryview) -> int:
    """How long the record at the start of ``data`` is, crc32 checked; 0 where no whole record stands there."""
    if len(data) < HEAD.size:
        return 0
    magic, _key, tokens, k, temperatures, sources, crc = HEAD.unpack(data[: HEAD.size])
    size = HEAD.size + temperatures * (4 + 4 * tokens) + sources * 8 + tokens * (ID_BYTES * (k + 1) + 2 * k + 6)
    if magic != MAGIC or size > len(data):
        return 0
    return size if zlib.crc32(data[HEAD.size : size], zlib.crc32(data[:CRC_AT])) == crc else 0


def head_of(data: memoryview) -> tuple[str, int, frozenset[int]]:
    """Key, tokens and sources of a whole record, without its signal."""
    _magic, key, tokens, _k, temperatures, sources, _crc = HEAD.unpack(data[: HEAD.size])
    found = np.frombuffer(data, "<u8", sources, HEAD.size + 4 * temperatures)
    return key.hex(), tokens, frozenset(found.tolist())


def decode(data: memoryview) -> Record:
    """A whole record (see ``size_of``); its arrays are copies, so that the memory map may go."""
    _magic, _key, tokens, k, temperatures, sources, _crc = HEAD.unpack(data[: HEAD.size])
    key, _tokens, found = head_of(data)
    at = HEAD.size

    def take(kind: str, *shape: int) -> Array:
        nonlocal at
        count = int(np.prod(shape))
        values = np.frombuffer(data, kind, count, at).reshape(shape)
        at += values.nbytes
        return values

    temperatures_B = tuple(float(t) for t in take("<f4", temperatures))
    take("<u8", sources)
    return Record(
        key,
        Signal(
            labels_N=_ids(take("u1", tokens, ID_BYTES)),
            ends_N=take("<u2", tokens).cumsum(dtype=np.uint32),
            label_logprob_N=take("<f4", tokens).astype(np.float32),
            ids_NK=_ids(take("u1", tokens, k, ID_BYTES)),
            logprobs_NK=take("<f2", tokens, k).astype(np.float16),
            log_partition_NB=take("<f4", tokens, temperatures).astype(np.float32),
            temperatures_B=temperatures_B,
        ),
        found,
    )


def _three_bytes(ids: Array) -> bytes:
    wide = np.ascontiguousarray(ids, "<u4")
    if wide.size and int(wide.max()) >= 1 << 8 * ID_BYTES:
        raise ValueError(f"token id {int(wide.max())} does not fit into {ID_BYTES} bytes")
    return wide.view("u1").reshape(*wide.shape, 4)[..., :ID_BYTES].tobytes()


def _ids(three: Array) -> Array:
    four = np.zeros((*three.shape[:-1], 4), "u1")
    four[..., :ID_BYTES] = three
    return four.view("<u4")[..., 0].astype(np.uint32)
