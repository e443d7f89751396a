"""What the school keeps of conversations outside the weights, rid of what was forgotten."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from memory.exchanges import holds, needles_of
from memory.files import file_lock, write_atomic
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
    written += _forget_lab(home, {*ids, *conversations}, needles)
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


def _forget_lab(home: Home, ids: Collection[str], needles: Collection[bytes]) -> int:
    """Experiments that hold any of it keep their figures and lose all words: exam, replies, what was to be trained."""
    forgotten = 0
    for folder in sorted((home.root / "lab").glob("*/")):
        files = [path for path in folder.rglob("*.json*") if path.is_file()]
        if any(_speaks_of(path.read_bytes(), ids, needles) for path in files):
            (folder / "exam.json").unlink(missing_ok=True)
            shutil.rmtree(folder / "work", ignore_errors=True)
            _forget_replies(folder / "results.jsonl")
            forgotten += 1
    return forgotten


def _forget_replies(results: Path) -> None:
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    kept = []
    for line in lines:
        try:
            values = json.loads(line)
            values["scores"] |= {"replies": [], "references": [], "samples": []}
        except (ValueError, TypeError, KeyError):
            continue  # torn: it is measured again
        kept.append(f"{json.dumps(values, ensure_ascii=False)}\n")
    if lines:
        write_atomic(results, "".join(kept))


def _speaks_of(state: bytes, ids: Collection[str], needles: Collection[bytes]) -> bool:
    if any(json.dumps(name).encode() in state for name in ids):
        return True
    return bool(needles) and holds(state.decode("utf-8", "replace").replace("\\n", " "), needles)
