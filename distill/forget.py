"""What the school keeps of conversations outside the molts, rid of what was forgotten."""

from collections.abc import Collection

from distill import dataset_files
from memory.home import Home


def forget(home: Home, ids: Collection[str]) -> int:
    """Take conversations, messages or memories, by id, out of what the school wrote; returns how many rows went.

    These are the datasets of the home. Molts keep no words, and the next retraining no longer sees what is gone.
    """
    return dataset_files.forget(home, ids)
