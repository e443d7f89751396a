"""A smaller student cut from a model: every n-th of its layers, the first and the last among them."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from memory.errors import TrainingError


def kept_layers(layers: int, keep: int) -> tuple[int, ...]:
    """Which of ``layers`` (from 0) a cut to ``keep`` takes: evenly spaced, first and last always.

    DistilBERT takes one layer out of two of its teacher (Sanh et al. 2019, arXiv 1910.01108, section 2). With both ends
    kept, the embedding is still read by the layer made for it, and the head still reads what the last one writes.
    Errors: TrainingError when there are not so many.
    """
    if not 2 <= keep <= layers:
        raise TrainingError(f"keep_layers = {keep} makes no sense for a model of {layers} layers; set 2 to {layers}")
    return tuple(round(index * (layers - 1) / (keep - 1)) for index in range(keep))


def cut_layers(model: Any, keep: int) -> tuple[int, ...]:
    """Leave only ``keep`` layers in a causal language model, in place; returns which ones stayed (from 0).

    All other weights (embedding, norms, head) are the teacher's. Errors: TrainingError as for ``kept_layers``.
    """
    body = model.model
    taken = kept_layers(len(body.layers), keep)
    body.layers = nn.ModuleList(body.layers[index] for index in taken)
    for position, layer in enumerate(body.layers):
        layer.self_attn.layer_idx = position  # where its keys and values lie in the cache
    model.config.num_hidden_layers = keep
    kinds: Sequence[str] | None = getattr(model.config, "layer_types", None)
    if kinds:
        model.config.layer_types = [kinds[index] for index in taken]
    return taken
