"""Edits of the home's files are noticed, whatever makes them, and an edit embeds what changed and no more."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from memory import embedder
from memory.api import Memory
from memory.files import write_atomic
from memory.home import Home
from memory.watch import Watcher
from tests.memory.conftest import MEMORY_MD

LONG = "The boat leaves at seven from the pier behind the market. We take the dog. "


class Watched:
    """A running watcher whose calls can be waited for."""

    def __init__(self, home: Home) -> None:
        self.edited = threading.Event()
        self.looked = threading.Event()
        self.watcher = Watcher(home, self.edited.set, self.looked.set)
        self.watcher.start()

    def told(self) -> bool:
        return self.edited.wait(30)

    def quiet(self) -> bool:
        """Two whole looks without an edit being told."""
        for _ in range(2):
            self.looked.clear()
            assert self.looked.wait(30)
        return not self.edited.is_set()


@pytest.fixture
def watched(bare_home: Home) -> Iterator[Watched]:
    shutil.copy(MEMORY_MD, bare_home.memory_file)
    found = Watched(bare_home)
    yield found
    found.watcher.close()


def test_edits_in_place_by_rename_new_notes_and_deletions_are_told(bare_home: Home, watched: Watched) -> None:
    assert watched.quiet()
    note = bare_home.notes_dir / "2026-02-08.md"
    with bare_home.memory_file.open("a") as file:
        file.write("- appended in place\n")
    for step in (
        lambda: None,
        lambda: write_atomic(bare_home.memory_file, bare_home.memory_file.read_text() + "- by rename\n"),
        lambda: note.write_text("# A day\n"),
        lambda: (bare_home.identity_dir / "USER.md").write_text("Her name is Marta.\n"),
        note.unlink,
    ):
        step()
        assert watched.told()
        watched.edited.clear()
    assert watched.quiet()


def test_other_files_of_the_home_are_not_told(bare_home: Home, watched: Watched) -> None:
    (bare_home.sessions_dir / "s.jsonl").write_text("{}\n")
    (bare_home.notes_dir / "picture.png").write_bytes(b"x")
    assert watched.quiet()


class Counted:
    """Counts the texts that the embedder is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        encode = embedder.OnnxEncoder.encode

        def counted(encoder: embedder.OnnxEncoder, texts: Sequence[str], *rest: object) -> np.ndarray:
            self.texts += texts
            return encode(encoder, texts, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(embedder.OnnxEncoder, "encode", counted)


def test_one_edited_section_embeds_that_section_alone(
    full_memory: Memory, full_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = "# Boats\n\n{first}\n\n## Dogs\n\nThe dog is called Polvo and swims well.\n\n# Trees\n\n" + LONG * 20
    full_home.memory_file.write_text(document.format(first="The boat is blue and needs paint."))
    full_memory.sync()
    counted = Counted(monkeypatch)
    total = full_memory.fill_vectors()
    assert len(counted.texts) == total >= 4
    counted.texts.clear()
    full_home.memory_file.write_text(document.format(first="The boat is green now and needs no paint."))
    report = full_memory.sync()
    assert (report.memories, report.removed) == (1, 1)
    assert full_memory.recall("is the boat green")[0].text.startswith("The boat is green")  # by words, at once
    assert full_memory.fill_vectors() == 1
    assert counted.texts == ["Boats\nThe boat is green now and needs no paint."]
    full_home.memory_file.write_text(document.format(first=""))
    assert full_memory.sync().removed == 1
    assert full_memory.fill_vectors() == 0
    assert full_memory.stats()["vectors"] == total - 1


def test_an_interrupted_embedding_goes_on_where_it_was(full_memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "many.md"
    path.write_text("".join(f"- Entry number {number} is about the boat {number * 7}.\n" for number in range(150)))
    full_memory.ingest([path])

    class Enough(Exception):
        pass

    def stop(progress: object) -> None:
        if getattr(progress, "done", 0) >= 64:
            raise Enough

    with pytest.raises(Enough):
        full_memory.fill_vectors(stop)
    assert full_memory.stats()["vectors_missing"] == 150 - 64
    assert full_memory.fill_vectors() == 150 - 64
