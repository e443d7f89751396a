"""The background thread that keeps the memory in step: edits are taken in by themselves, failures are told once."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from memory.api import Memory
from memory.home import Home
from memory.values import IngestProgress
from molting_agent.indexer import Indexer

PATIENCE_S = 30.0


class WordsOnly(Memory):
    """The real memory without its embedder, with a word on what was asked of it."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.fills = 0
        self.looks = threading.Event()
        self.notice = ""
        self.filling: Callable[[Callable[[IngestProgress], None]], None] = lambda _: None

    def fill_vectors(self, on_progress: Callable[[IngestProgress], None] | None = None) -> int:
        self.fills += 1
        assert on_progress
        self.filling(on_progress)
        return 0

    def keep_in_step(self) -> None:
        self.looks.set()

    def take_notice(self) -> str:
        notice, self.notice = self.notice, ""
        return notice


@pytest.fixture
def memory(make_home: Callable[..., Home]) -> Iterator[WordsOnly]:
    found = WordsOnly(make_home(with_models=False))
    yield found
    found.close()


@pytest.fixture
def indexer(memory: WordsOnly) -> Iterator[Indexer]:
    found = Indexer(memory)
    yield found
    assert found.close(PATIENCE_S)


def _comes_true(check: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.05)
    return False


def test_an_edit_by_any_program_is_taken_in_by_itself(memory: WordsOnly, indexer: Indexer) -> None:
    indexer.watch(memory.home)
    indexer.watch(memory.home)
    memory.home.memory_file.write_text("# Boats\n\n- The blue boat is called Baleia.\n")
    assert _comes_true(lambda: memory.recall("what is the blue boat called"))
    (memory.home.notes_dir / "2026-02-08.md").write_text("We painted the dinghy yellow today.\n")
    assert _comes_true(lambda: memory.recall("which colour has the dinghy, yellow"))
    memory.home.memory_file.write_text("# Boats\n\n- The red boat is called Foca.\n")
    assert _comes_true(lambda: "Foca" in str(memory.recall("boat called Foca")))
    assert "Baleia" not in str(memory.recall("blue boat Baleia"))
    assert _comes_true(lambda: memory.fills >= 3)
    memory.looks.clear()
    assert memory.looks.wait(PATIENCE_S)  # what other processes write is looked for all the time


def test_progress_can_be_seen_while_it_embeds_and_is_gone_afterwards(memory: WordsOnly, indexer: Indexer) -> None:
    told, go_on = threading.Event(), threading.Event()

    def filling(tell: Callable[[IngestProgress], None]) -> None:
        tell(IngestProgress("embedding", 64, 256))
        told.set()
        go_on.wait(PATIENCE_S)

    memory.filling = filling
    indexer.soon(vectors=True)
    assert told.wait(PATIENCE_S)
    assert (indexer.progress.done, indexer.progress.total) == (64, 256)
    assert indexer.wait(PATIENCE_S)  # words can be searched meanwhile
    go_on.set()
    assert _comes_true(lambda: indexer.progress.total == 0)


def test_failures_and_notices_are_told_once_and_the_thread_goes_on(memory: WordsOnly, indexer: Indexer) -> None:
    def failing(_: object) -> None:
        raise RuntimeError("the embedder broke\x1b[31m")

    memory.filling = failing
    indexer.soon(vectors=True)
    assert _comes_true(lambda: indexer._error)
    assert indexer.take_error() == "the embedder broke"
    assert indexer.take_error() == ""
    memory.filling = lambda _: None
    memory.notice = "the Chroma server is away"
    indexer.soon(vectors=True)
    assert _comes_true(lambda: indexer._notice)
    assert indexer.take_notice() == "the Chroma server is away"
    assert indexer.take_notice() == indexer.take_error() == ""
