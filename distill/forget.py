"""What the school keeps of conversations outside the weights, rid of what was forgotten."""

import json
from collections.abc import Collection
from pathlib import Path

from memory.exchanges import holds, needles_of
from memory.files import file_lock
from memory.home import Home
from memory.values import Forgotten

MARK = "forgotten"
"""A file in the training folder: something that the run under way learns from was forgotten, so it may not be filed."""
QUOTED_WORDS = 24
"""A memory is quoted cut short: its first words tell it."""


def forget(
    home: Home, ids: Collection[str], *, texts: Collection[str] = (), conversations: Collection[str] = ()
) -> int:
    """Take conversations, messages or memories, by id, out of what the school wrote; returns how much went.

    That is rows of the home's datasets, answers of teachers and what they said of replies, and a retraining that learns
    from them: an interrupted one begins anew, one under way ends without a molt. ``texts`` are memories that are looked
    for word by word where no id tells; ``conversations`` are those a run may not hold. What the base replied for the
    judge goes whole and is not counted. The next retraining no longer sees what is gone. Errors: HomeError when a file
    cannot be rewritten.
    """
    from distill import dataset_files
    from distill.evaluate import base_voice
    from distill.signals import store
    from distill.teachers import replies

    needles = needles_of(" ".join(text.split()[:QUOTED_WORDS]) for text in texts)
    written = dataset_files.forget(home, ids, needles)
    written += replies.forget(home, ids, needles)
    written += store.forget(home, ids)
    base_voice.forget(home)
    return written + _forget_run(home, {*ids, *conversations}, needles)


def forget_all(home: Home, gone: Forgotten) -> int:
    """``forget`` for what the memory has just forgotten, the reports of the molts included."""
    from distill.report_samples import forget_samples

    if not gone.ids:
        return 0
    forget_samples(home, gone.words)
    return forget(home, gone.ids, texts=gone.texts, conversations=gone.conversations)


def is_marked(training_dir: Path) -> bool:
    """Whether something that the run here learns from was forgotten since it began."""
    return (training_dir / MARK).exists()


def unmark(training_dir: Path) -> None:
    """A new run begins, which sees nothing that is forgotten."""
    (training_dir / MARK).unlink(missing_ok=True)


def _forget_run(home: Home, ids: Collection[str], needles: Collection[bytes]) -> int:
    from distill.state import STATE_NAME, RunFolder

    run = RunFolder(home.training_dir)
    if not home.training_dir.is_dir():
        return 0
    with file_lock(home.training_dir / "lock", blocking=False) as free:
        state = (run.path / STATE_NAME).read_bytes() if run.exists else b""
        if free:
            if not _speaks_of(state, ids, needles):
                return 0
            run.clear()
        else:  # it may be collecting still: then nobody knows what it has read
            if state and not _speaks_of(state, ids, needles):
                return 0
            (home.training_dir / MARK).touch()
        return 1


def _speaks_of(state: bytes, ids: Collection[str], needles: Collection[bytes]) -> bool:
    if any(json.dumps(name).encode() in state for name in ids):
        return True
    return bool(needles) and holds(state.decode("utf-8", "replace").replace("\\n", " "), needles)
