"""Questions and rationales as vectors, by the memory's own embedder: MiniLM on onnxruntime, without torch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from memory import embedder
from memory.home import Home

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], "np.ndarray[Any, Any]"]
"""Texts to vectors of length 1, float32 [N, 384]."""


def embed_with(home: Home, on_progress: Callable[[str], None] = lambda _text: None) -> Embed:
    """The home's embedder, prepared first where it is not (half a minute, once). Errors: MemoryStoreError."""
    if not embedder.is_prepared(home.models_dir):
        on_progress("preparing the embedder, once")
        embedder.prepare(home.models_dir)
    encoder = embedder.load(home.models_dir)

    def embed(texts: Sequence[str]) -> "np.ndarray[Any, Any]":
        # Many questions have one rationale in common with none, but questions come back: each text is embedded once.
        unique = list(dict.fromkeys(texts))
        place = {text: index for index, text in enumerate(unique)}
        vectors = encoder.encode(unique, lambda done: on_progress(f"embedding  {done:,} of {len(unique):,} texts"))
        return vectors[[place[text] for text in texts]]

    return embed
