"""What the school keeps of conversations outside the molts, rid of what was forgotten."""

from collections.abc import Collection

from memory.files import file_lock
from memory.home import Home
from memory.values import Receipt


def forget(home: Home, ids: Collection[str]) -> int:
    """Take conversations, messages or memories, by id, out of what the school wrote; returns how much went.

    That is rows of the home's datasets, answers of teachers and what they said of replies, and an interrupted
    retraining that learns from them (it begins anew; one that is under way ends with its own files). What the base
    replied for the judge goes whole and is not counted. Molts keep no words, and the next retraining no longer sees
    what is gone. Errors: HomeError when a file cannot be rewritten.
    """
    from distill import dataset_files
    from distill.evaluate import base_voice
    from distill.signals import store
    from distill.teachers import replies

    written = dataset_files.forget(home, ids) + replies.forget(home, ids) + store.forget(home, ids)
    base_voice.forget(home)
    return written + _forget_run(home, ids)


def forget_receipts(home: Home, receipts: Collection[Receipt]) -> int:
    """``forget`` for what the memory has just forgotten: its ids, and the messages that its receipts name."""
    return forget(home, {name for receipt in receipts for name in (receipt.id, receipt.text)})


def _forget_run(home: Home, ids: Collection[str]) -> int:
    from distill.state import STATE_NAME, RunFolder

    run = RunFolder(home.training_dir)
    if not run.exists:
        return 0
    with file_lock(home.training_dir / "lock", blocking=False) as free:
        state = (run.path / STATE_NAME).read_bytes() if free and run.exists else b""
        if not any(f'"{name}"'.encode() in state for name in ids):
            return 0
        run.clear()
        return 1
