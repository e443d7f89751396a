"""The student as a transformers checkpoint: safetensors and a tokenizer that cuts as the runtime does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.export.probe import PROMPTS, TEXTS, Probe
from memory.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A causal language model in float32 and its tokenizer."""

    model: Any
    tokenizer: Any


def load_checkpoint(path: Path) -> Checkpoint:
    """From a GGUF file, dequantised, or from a folder of transformers. Errors: TrainingError when it does not load."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    options: dict[str, Any] = {"dtype": torch.float32}
    place, file = str(path), {}
    if path.is_file():
        place, file = str(path.parent), {"gguf_file": path.name}
        options["quantization_config"] = GgufConfig(dequantize=True)
    try:
        # Eager attention is plain products and a softmax: every exporter and runtime knows those.
        model = AutoModelForCausalLM.from_pretrained(place, attn_implementation="eager", **file, **options)
        tokenizer = AutoTokenizer.from_pretrained(place, **file)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TrainingError(
            f"{path.name}: transformers does not load this kind of model ({error}); export it as: --format gguf"
        ) from None
    return Checkpoint(model.eval(), tokenizer)


def save_checkpoint(checkpoint: Checkpoint, folder: Path, name: str) -> None:
    """Write ``folder``: model.safetensors in float16, the configuration, the tokenizer and its chat template."""
    checkpoint.model.half().save_pretrained(folder)
    save_tokenizer(checkpoint, folder, name)


def save_tokenizer(checkpoint: Checkpoint, folder: Path, name: str) -> None:
    """The configuration and the tokenizer, without the working folder's name in them."""
    checkpoint.model.config.name_or_path = name
    checkpoint.model.config.save_pretrained(folder)
    checkpoint.model.generation_config.save_pretrained(folder)
    # A GGUF says how long a window its model was made for; a tokenizer made from it does not.
    checkpoint.tokenizer.model_max_length = checkpoint.model.config.max_position_embeddings
    checkpoint.tokenizer.save_pretrained(folder)


def same_tokens(checkpoint: Checkpoint, reference: Probe) -> None:
    """Errors: TrainingError naming the first text that the tokenizer cuts otherwise than the runtime."""
    tokenizer = checkpoint.tokenizer
    for text, ids in zip(TEXTS, reference.texts, strict=True):
        # As content: what looks like a control token is words.
        found = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        _same(text, found, ids)
    if not tokenizer.chat_template:
        return
    for (system, question), ids in zip(PROMPTS, reference.ids, strict=True):
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": question})
        rendered = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
        _same(question, rendered["input_ids"], ids)


def torch_logits(checkpoint: Checkpoint, texts: Sequence[Sequence[int]]) -> np.ndarray:
    """Logits (N, V) after each token of all texts, one text after the other, float32."""
    with torch.no_grad():
        parts = [checkpoint.model(torch.tensor([list(ids)])).logits[0] for ids in texts]
    return torch.cat(parts).float().numpy()


def _same(text: str, found: Sequence[int], expected: Sequence[int]) -> None:
    if list(found) != list(expected):
        raise TrainingError(
            f"transformers makes another tokenizer of this file than llama.cpp: {text[:40]!r} is "
            f"{list(found)[:12]} and {list(expected)[:12]}; nothing was left. Export it as: --format gguf"
        )
