"""The student: the very GGUF that runs, dequantised into torch, with a fresh LoRA adapter on all linear layers."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distill.attention import NAME, register
from distill.config import DistillConfig
from memory.errors import TrainingError


@dataclass(slots=True)
class Student:
    """``model`` returns hidden states (its head is an identity); ``head_VH`` is the frozen output projection."""

    model: Any
    head_VH: torch.Tensor
    dtype: torch.dtype

    @property
    def base(self) -> Any:
        """The causal language model under the adapter."""
        get_base = getattr(self.model, "get_base_model", None)
        return get_base() if get_base else self.model

    @property
    def trainable_parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)


def load_base(path: Path, dtype: torch.dtype = torch.float32, attention: str = NAME) -> Any:
    """A causal language model with the weights of a GGUF file, dequantised. Errors: TrainingError."""
    from transformers import AutoModelForCausalLM, GgufConfig

    register()
    try:
        return AutoModelForCausalLM.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=dtype,
            attn_implementation=attention,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TrainingError(
            f"{path.name} cannot be trained: transformers does not load it ({error}); choose another: molt models ls"
        ) from None


def load_student(path: Path, config: DistillConfig, dtype: torch.dtype = torch.float32) -> Student:
    """The base of a GGUF file with a fresh adapter; the same seed gives the same adapter."""
    return adapt(load_base(path, dtype), config)


def adapt(model: Any, config: DistillConfig) -> Student:
    """A student from a causal language model that attends by ``distill.attention``."""
    from peft import LoraConfig, get_peft_model

    head_VH = model.get_output_embeddings().weight.detach()
    torch.manual_seed(config.seed)
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, lora)
    # Only positions with a label go through the head, in chunks, by the loss: the model itself stops before it.
    model.get_base_model().lm_head = torch.nn.Identity()
    model.get_base_model().config.use_cache = False
    return Student(model, head_VH, head_VH.dtype)


def faster_dtype(path: Path, wish: str = "auto") -> torch.dtype:
    """The number type to train in: the wish, or the faster of float32 and bfloat16 in a timed product of this size.

    bfloat16 pays on CPUs with AVX512-BF16 or AMX (and on GPUs) and costs three times float32 where it is emulated.
    """
    if wish != "auto":
        return torch.float32 if wish == "float32" else torch.bfloat16
    seconds = {dtype: _probe(dtype) for dtype in (torch.float32, torch.bfloat16)}
    # bfloat16 must win clearly: it rounds, and the layers around the products gain less.
    return torch.bfloat16 if seconds[torch.bfloat16] < 0.7 * seconds[torch.float32] else torch.float32


def _probe(dtype: torch.dtype, tokens: int = 512, width: int = 576, inner: int = 1536) -> float:
    """Best seconds of a few products of a small model's size."""
    inputs, weight = torch.randn(tokens, width).to(dtype), torch.randn(inner, width).to(dtype)
    best = float("inf")
    for attempt in range(6):
        started = time.perf_counter()
        torch.nn.functional.linear(inputs, weight)
        elapsed = time.perf_counter() - started
        if attempt:  # the first one warms up
            best = min(best, elapsed)
    return best
