"""The student as an ONNX graph with a KV cache, of any batch and length, that onnxruntime runs."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.export.checkpoint import Checkpoint, save_tokenizer

GRAPH_NAME = "model.onnx"
OPSET = 20
# Sizes of the example that is traced: no two alike and none 0 or 1, which torch.export would take for constants.
BATCH, SEQUENCE, PAST = 2, 5, 3


class CachedGraph(torch.nn.Module):
    """A model as a function of tensors: the cache comes in and goes out as one tensor a layer and kind."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        """Logits (B, S, V) and, for each layer, keys and values (B, heads, past + S, head size)."""
        from transformers import DynamicCache

        pairs = [(past[i], past[i + 1]) for i in range(0, len(past), 2)]
        out = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=DynamicCache(pairs),
            use_cache=True,
        )
        presents = [tensor for layer in out.past_key_values.layers for tensor in (layer.keys, layer.values)]
        return (out.logits, *presents)


def save_onnx(checkpoint: Checkpoint, folder: Path, name: str) -> None:
    """Write ``folder``: model.onnx (weights in float32, beside it when they pass ONNX's 2 GB), tokenizer and settings.

    Inputs and outputs are named as Optimum names them: input_ids, attention_mask (over past and new tokens),
    position_ids, past_key_values.N.key and .value (of length 0 at first); logits, present.N.key and .value.
    """
    folder.mkdir()
    save_tokenizer(checkpoint, folder, name)
    layers, heads, size = cache_shape(checkpoint.model.config)
    past = [torch.randn(BATCH, heads, PAST, size) for _ in range(2 * layers)]
    example = (
        torch.ones(BATCH, SEQUENCE, dtype=torch.int64),
        torch.ones(BATCH, PAST + SEQUENCE, dtype=torch.int64),
        torch.arange(PAST, PAST + SEQUENCE).expand(BATCH, SEQUENCE).contiguous(),
        past,
    )
    shapes = {
        "input_ids": {0: "batch", 1: "sequence"},
        "attention_mask": {0: "batch", 1: "past_and_sequence"},
        "position_ids": {0: "batch", 1: "sequence"},
        "past": [{0: "batch", 2: "past"} for _ in past],
    }
    # The exporter prints how it gets on, and warns of axes that share a name, which they are meant to.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            CachedGraph(checkpoint.model),
            example,
            dynamo=True,
            input_names=["input_ids", "attention_mask", "position_ids", *cache_names("past_key_values", layers)],
            output_names=["logits", *cache_names("present", layers)],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - with dynamo=True it is always a program
    program.save(str(folder / GRAPH_NAME))


def cache_names(prefix: str, layers: int) -> list[str]:
    """``past_key_values.0.key``, ``past_key_values.0.value`` and so on."""
    return [f"{prefix}.{layer}.{kind}" for layer in range(layers) for kind in ("key", "value")]


def cache_shape(config: Any) -> tuple[int, int, int]:
    """Layers, heads and head size of the cache."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, config.num_key_value_heads, size


def onnx_logits(folder: Path, texts: Sequence[Sequence[int]]) -> np.ndarray:
    """Logits (N, V) after each token of all texts, one text after the other, as onnxruntime has them.

    Each text but the first is run in two parts with the cache between them, and the first together with another one
    in one batch, so that batch, padding and cache are all tried.
    """
    import onnxruntime
    from transformers import AutoConfig

    session = onnxruntime.InferenceSession(str(folder / GRAPH_NAME), providers=["CPUExecutionProvider"])
    layers, heads, size = cache_shape(AutoConfig.from_pretrained(folder))
    names = cache_names("past_key_values", layers)

    def run(ids_BS: np.ndarray, mask_BT: np.ndarray, past: Sequence[np.ndarray]) -> list[np.ndarray]:
        positions_BT = np.maximum(mask_BT.cumsum(axis=1) - 1, 0)
        inputs = {
            "input_ids": ids_BS,
            "attention_mask": mask_BT,
            "position_ids": positions_BT[:, -ids_BS.shape[1] :],
            **dict(zip(names, past, strict=True)),
        }
        return session.run(None, inputs)

    parts = [_in_a_batch(run, texts[0], texts[-1], layers, heads, size)]
    empty = [np.zeros((1, heads, 0, size), np.float32)] * (2 * layers)
    for ids in texts[1:]:
        ids_1S, mask_1S = np.array([ids], np.int64), np.ones((1, len(ids)), np.int64)
        half = len(ids) // 2
        first, *past = run(ids_1S[:, :half], mask_1S[:, :half], empty)
        second = run(ids_1S[:, half:], mask_1S, past)[0]
        parts.append(np.concatenate([first[0], second[0]]))
    return np.concatenate(parts)


def _in_a_batch(run: Any, ids: Sequence[int], other: Sequence[int], layers: int, heads: int, size: int) -> np.ndarray:
    """Logits of ``ids`` beside another text, the shorter one padded on the left."""
    longest = max(len(ids), len(other))
    ids_2S, mask_2S = np.zeros((2, longest), np.int64), np.zeros((2, longest), np.int64)
    for row, text in enumerate((ids, other)):
        ids_2S[row, longest - len(text) :] = text
        mask_2S[row, longest - len(text) :] = 1
    empty = [np.zeros((2, heads, 0, size), np.float32)] * (2 * layers)
    return run(ids_2S, mask_2S, empty)[0][0, longest - len(ids) :]
