"""The signal store: compact, found by content, whole after a crash at any byte, and rid of what is forgotten."""

import errno
import os
import random
import signal as signals_of_unix
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.forget import forget
from distill.signals import store as store_module
from distill.signals.record import Signal, decode, encode, signal, size_of, source_of
from distill.signals.store import DATA, INDEX, TORN, SignalStore, signals_dir
from distill.teachers.scoring.protocol import TEMPERATURES
from memory.errors import HomeError, TrainingError
from memory.home import Home

FOUR = (2.0, 3.0, 4.0, 5.0)


def made(tokens: int = 20, k: int = 32, temperatures: tuple[float, ...] = FOUR, seed: int = 0) -> Signal:
    """A signal of random numbers."""
    rng = np.random.default_rng(seed)
    return signal(
        rng.integers(0, 1 << 24, tokens),
        np.cumsum(rng.integers(0, 9, tokens)),
        -rng.random(tokens),
        rng.integers(0, 1 << 24, (tokens, k)),
        -np.sort(rng.random((tokens, k)) * 30, axis=1),
        rng.random((tokens, len(temperatures))),
        temperatures,
    )


def same(one: Signal | None, other: Signal) -> bool:
    names = ("labels_N", "ends_N", "label_logprob_N", "ids_NK", "logprobs_NK", "log_partition_NB")
    return (
        one is not None
        and one.temperatures_B == other.temperatures_B
        and all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)
        and all(getattr(one, n).dtype == getattr(other, n).dtype for n in names)
    )


def key(number: int) -> str:
    return f"{number:064x}"


def filled(folder: Path, count: int = 3, k: int = 32) -> SignalStore:
    store = SignalStore(folder)
    with store.writing():
        for n in range(count):
            store.add([(key(n), made(seed=n, tokens=2 + n, k=k), [f"conversation-{n}", f"m{n}"])])
    return store


@settings(max_examples=60, deadline=None)
@given(
    tokens=st.integers(0, 30),
    k=st.integers(0, 40),
    temperatures=st.lists(st.sampled_from([0.5, 1.5, 2.0, 5.0]), unique=True, max_size=4),
    names=st.lists(st.text(max_size=8), max_size=5),
    seed=st.integers(0, 1000),
)
def test_a_record_comes_back_as_it_went(
    tokens: int, k: int, temperatures: list[float], names: list[str], seed: int
) -> None:
    one = made(tokens, k, tuple(temperatures), seed)
    data = encode(key(seed), one, {source_of(name) for name in names})
    assert size_of(memoryview(data + b"more")) == len(data)
    found = decode(memoryview(data))
    assert found.key == key(seed)
    assert found.sources == {source_of(name) for name in names}
    assert same(found.signal, one)


@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(at: int, bit: int) -> None:
    data = bytearray(encode(key(1), made(3), {1, 2}))
    data[at % len(data)] ^= 1 << bit
    assert size_of(memoryview(data)) == 0


@pytest.mark.parametrize("temperatures", [FOUR, TEMPERATURES], ids=["four", "ours"])
def test_a_token_takes_at_most_224_bytes_at_k_32(tmp_path: Path, temperatures: tuple[float, ...]) -> None:
    store = SignalStore(tmp_path)
    with store.writing():  # a short reply deep in a long conversation is the dearest
        store.add([(key(1), made(12, 32, temperatures), [f"message-{n}" for n in range(30)])])
    assert store.size_bytes / store.tokens <= 224
    with store.writing():
        many = [(key(n), made(60, 32, temperatures), [f"message-{m}" for m in range(20)]) for n in range(50)]
        store.add(many)
    assert (tmp_path / DATA).stat().st_size / store.tokens <= 196


def test_what_is_less_likely_than_half_a_float_can_say_stays_finite() -> None:
    one = signal([1], [1], [-1e6], [[1, 2]], [[-0.1, -np.inf]])
    assert np.isfinite(one.logprobs_NK).all()


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="logprobs_NK must be"):
        signal([1, 2], [1, 2], [0, 0], np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="ends_N must not go back"):
        encode(key(1), signal([1, 2], [4, 2], [0, 0]), set())
    with pytest.raises(ValueError, match="does not fit"):
        encode(key(1), signal([1 << 24], [1], [0]), set())


def test_many_read_what_one_adds_and_the_last_of_a_key_holds(tmp_path: Path) -> None:
    reader = SignalStore(tmp_path)
    assert reader.get(key(0)) is None
    writer = filled(tmp_path)
    assert all(same(store.get(key(n)), made(seed=n, tokens=2 + n)) for store in (reader, writer) for n in range(3))
    with writer.writing():
        writer.add([(key(1), made(seed=77), [])])
    assert len(writer) == 3
    assert same(writer.get(key(1)), made(seed=77))
    assert same(SignalStore(tmp_path).get(key(1)), made(seed=77))
    assert (tmp_path / DATA).stat().st_mode & 0o077 == 0


def test_one_writes_and_a_second_is_told(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with store.writing(), pytest.raises(TrainingError, match="another run is scoring"), SignalStore(tmp_path).writing():
        pass
    with pytest.raises(RuntimeError):
        store.add([])


def test_torn_at_any_byte_the_rest_is_whole_and_goes_on(tmp_path: Path) -> None:
    filled(tmp_path / "whole", 2, k=2)
    data, index = (tmp_path / "whole" / DATA).read_bytes(), (tmp_path / "whole" / INDEX).read_bytes()
    last = made(seed=1, tokens=3, k=2)
    start = len(data) - len(encode(key(1), last, {1, 2}))
    for cut in range(start, len(data), 3):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / DATA).write_bytes(data[:cut])
        (folder / INDEX).write_bytes(index)
        assert key(1) not in SignalStore(folder)
        store = SignalStore(folder)
        with store.writing():
            assert store.set_aside_bytes == cut - start
            store.add([(key(1), last, [])])
        assert same(SignalStore(folder).get(key(0)), made(seed=0, tokens=2, k=2))
        assert same(SignalStore(folder).get(key(1)), last)
        assert (folder / TORN).exists() == (cut > start)


@pytest.mark.parametrize("harm", ["missing", "empty", "torn", "noise", "of another store", "behind"])
def test_the_index_may_be_lost(tmp_path: Path, harm: str) -> None:
    filled(tmp_path / "a", 3)
    filled(tmp_path / "b", 2)
    index, other = tmp_path / "a" / INDEX, (tmp_path / "b" / INDEX).read_bytes()
    whole = index.read_bytes()
    index.unlink()
    damaged = {
        "empty": b"",
        "torn": whole[:-7],
        "noise": whole[:30] + os.urandom(len(whole) - 30),
        "of another store": other,
        "behind": whole[: len(whole) - 52],
    }
    if harm in damaged:
        index.write_bytes(damaged[harm])
    reader = SignalStore(tmp_path / "a")
    assert [same(reader.get(key(n)), made(seed=n, tokens=2 + n)) for n in range(3)] == [True] * 3
    with reader.writing():
        assert reader.set_aside_bytes == 0
    assert index.read_bytes() == whole


def test_a_damaged_record_is_as_good_as_none_and_is_scored_again(tmp_path: Path) -> None:
    store = filled(tmp_path, 3)
    path = tmp_path / DATA
    data = bytearray(path.read_bytes())
    at = data.index(encode(key(1), made(seed=1, tokens=3), {source_of("conversation-1"), source_of("m1")}))
    data[at + 200] ^= 1
    path.write_bytes(data)
    (tmp_path / INDEX).unlink()
    for reader in (SignalStore(tmp_path), store):
        assert key(1) not in reader
        assert same(reader.get(key(2)), made(seed=2, tokens=4))
    with store.writing():
        store.add([(key(1), made(seed=1, tokens=3), [])])
    assert same(SignalStore(tmp_path).get(key(1)), made(seed=1, tokens=3))


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path, 2)
    before = (tmp_path / DATA).read_bytes()

    def full(descriptor: int, data: memoryview, offset: int) -> int:
        if data[:8] == b"MOLTSIG1":
            os.pwrite(descriptor, data[:100], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.pwrite(descriptor, data, offset)

    monkeypatch.setattr(store_module, "_write", full)
    with store.writing(), pytest.raises(HomeError, match="No space left on device; make room"):
        store.add([(key(5), made(), [])])
    assert (tmp_path / DATA).read_bytes() == before
    assert key(5) not in store


ADDER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_signals_store import key, made
from distill.signals.store import SignalStore
store = SignalStore(Path({folder!r}))
with store.writing():
    for n in range(len(store), 100_000):
        store.add([(key(n), made(seed=n, tokens=1 + n % 50), ["c"])])
        print(n, flush=True)
"""


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))])
def test_killed_at_any_moment_nothing_that_was_kept_is_lost(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    code = ADDER.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        last = -1
        for _ in range(rng.randint(1, 60)):
            last = int(child.stdout.readline())
        child.send_signal(signals_of_unix.SIGKILL)
        last = max([last, *map(int, child.stdout.read().split("\n")[:-1])])
        assert child.wait() == -signals_of_unix.SIGKILL
        child.stdout.close()
        found = SignalStore(tmp_path)
        assert all(same(found.get(key(n)), made(seed=n, tokens=1 + n % 50)) for n in range(last + 1))
        assert len(found) in (last + 1, last + 2)  # the one that was kept, but not yet said


def test_what_is_forgotten_leaves_no_byte(home: Home) -> None:
    folder = signals_dir(home) / "self"
    store = filled(folder, 3)
    with store.writing():
        store.add([(key(50), signal([], [], []), ["memory-1", "memory-2"])])  # what the teacher read beside it
        store.add([(key(51), made(seed=51), ["conversation-9", key(50)])])
    (folder / TORN).write_bytes(b"who knows whose")
    old_reader = SignalStore(folder)
    gone = encode(key(1), made(seed=1, tokens=3), {source_of("conversation-1"), source_of("m1")})[52:]
    assert gone in (folder / DATA).read_bytes()
    assert forget(home, ["m1"]) == 1
    assert gone not in b"".join(path.read_bytes() for path in folder.iterdir())
    assert not (folder / TORN).exists()
    assert forget(home, ["memory-2"]) == 2
    assert forget(home, ["nobody"]) == 0
    left = SignalStore(folder)
    assert len(left) == 2
    assert same(left.get(key(0)), made(seed=0, tokens=2))
    assert same(old_reader.get(key(2)), made(seed=2, tokens=4))
    with left.writing():
        left.add([(key(1), made(seed=8), ["conversation-8"])])
    assert same(SignalStore(folder).get(key(1)), made(seed=8))


def test_a_folder_that_is_no_ones_is_named(tmp_path: Path) -> None:
    (tmp_path / DATA).mkdir()
    with pytest.raises(HomeError, match=r"signals\.bin: Is a directory"):
        SignalStore(tmp_path)
