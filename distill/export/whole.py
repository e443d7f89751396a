"""A student trained whole as GGUF: its weights by llama.cpp's names and order, the rest from the file of its base."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from distill.export.adapter import PERMUTED, gguf_architecture, permute
from distill.export.gguf_file import Progress, TensorPlan, float_tensor, metadata, open_gguf, write_model
from memory.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np

# Architectures that store every weight as transformers has it, q and k of PERMUTED apart (convert_hf_to_gguf.py).
STORED_AS_THEY_ARE = ("llama", "mistral", "qwen2", "qwen3")
BLOCK = re.compile(r"blk\.(\d+)\.")


def write_gguf(
    state: Mapping[str, torch.Tensor],
    config: Any,
    base: Path,
    target: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    on_part: Progress = lambda _done, _all: None,
) -> int:
    """Write a transformers state dict as f16 GGUF ``target``; returns its bytes.

    ``config`` is its transformers config: of the kind and widths of ``base``, a GGUF whose metadata and
    tokenizer are kept; it may have fewer layers. A tied head needs no weight of its own. ``changes`` are metadata
    (see Source.metadata). Errors: TrainingError when a weight has no place in the file, or the state lacks one of it.
    """
    kind = config.model_type
    if kind not in STORED_AS_THEY_ARE:
        raise TrainingError(
            f"how {kind} is written as GGUF is not known here (known: {', '.join(STORED_AS_THEY_ARE)}); "
            "train it with an adapter instead"
        )
    reader = open_gguf(base)
    architecture = str(metadata(reader, "general.architecture"))
    if gguf_architecture(kind) != architecture:
        raise TrainingError(f"the student is of kind {kind}, and {base.name} is {architecture}; name its own base")
    layers, base_layers = config.num_hidden_layers, int(metadata(reader, f"{architecture}.block_count"))
    if layers > base_layers:
        raise TrainingError(f"the student has {layers} layers, and {base.name} only {base_layers}; name its own base")
    weights = _by_gguf_name(state, architecture, layers)
    if "output.weight" in weights and _is_tied(weights, config):
        del weights["output.weight"]
    embedding_VH = weights.get("token_embd.weight")
    plans = []
    for tensor in reader.tensors:
        block = BLOCK.match(tensor.name)
        if block and int(block[1]) >= layers:
            continue
        shape = tuple(int(size) for size in reversed(tensor.shape))
        weight = weights.pop(tensor.name, None)
        if weight is None and tensor.name.startswith("rope_freqs"):  # worked out, not trained
            plans.append(TensorPlan(tensor.name, shape, lambda tensor=tensor: float_tensor(tensor)))  # type: ignore[misc]
            continue
        if weight is None and tensor.name == "output.weight" and config.tie_word_embeddings:
            weight = embedding_VH  # the base stores a head of its own, and the student's is tied
        if weight is None or tuple(weight.shape) != shape:
            found = "none" if weight is None else "x".join(map(str, weight.shape))
            raise TrainingError(
                f"{tensor.name} is {'x'.join(map(str, shape))} in {base.name}, and the student has {found}; "
                "name its own base"
            )
        plans.append(TensorPlan(tensor.name, shape, _stored(weight, tensor.name, kind, config)))
    if weights:
        raise TrainingError(f"{base.name} has no place for the student's {sorted(weights)[0]}; name its own base")
    return write_model(
        reader, target, plans, {**(changes or {}), f"{architecture}.block_count": layers}, on_part=on_part
    )


def _by_gguf_name(state: Mapping[str, torch.Tensor], architecture: str, layers: int) -> dict[str, torch.Tensor]:
    """The state by llama.cpp's names (gguf-py's tensor_mapping.py). Errors: TrainingError."""
    import gguf

    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], layers)
    found = {}
    for key, weight in state.items():
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise TrainingError(
                f"{key} has no place in a GGUF of kind {architecture}; train it with an adapter instead"
            )
        found[name] = weight
    return found


def _is_tied(weights: Mapping[str, torch.Tensor], config: Any) -> bool:
    return bool(config.tie_word_embeddings) and torch.equal(weights["output.weight"], weights["token_embd.weight"])


def _stored(weight: torch.Tensor, name: str, kind: str, config: Any) -> Callable[[], "np.ndarray"]:
    def values() -> "np.ndarray":
        stored = weight.detach().float().cpu()
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
        part = name.split(".")[-2]
        if kind in PERMUTED and part in heads:
            stored = permute(stored.reshape(len(stored), -1), heads[part]).reshape(weight.shape)
        return stored.contiguous().numpy()

    return values
