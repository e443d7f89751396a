"""A student on a transformers checkpoint, in full or in four bits (QLoRA), whose adapter runs on the paired GGUF."""

from pathlib import Path
from typing import Any

import torch

from distill.attention import NAME, register
from distill.config import DistillConfig
from distill.student import Student, adapt
from distill.students.pairing import check_pair, check_weights
from memory.errors import TrainingError


def load_checkpoint(checkpoint: str, gguf: Path, config: DistillConfig, dtype: torch.dtype = torch.float32) -> Student:
    """The base of a checkpoint (a folder, or a name on the hub) with a fresh adapter, once ``gguf`` is its pair.

    With ``quantization = nf4`` the frozen linear layers are held in 4-bit NormalFloat with double quantisation and
    computed in ``dtype``: Dettmers et al. 2023, QLoRA (arXiv 2305.14314), section 3. Errors: TrainingError when the two
    files are not of one base, or the checkpoint does not load.
    """
    check_pair(checkpoint, gguf)
    model = load_model(checkpoint, config, dtype)
    check_weights(model, checkpoint, gguf)
    return adapt(model, config)


def load_model(checkpoint: str, config: DistillConfig, dtype: torch.dtype) -> Any:
    """The causal language model of a checkpoint, attending by ``distill.attention``. Errors: TrainingError."""
    from transformers import AutoModelForCausalLM

    register()
    try:
        return AutoModelForCausalLM.from_pretrained(
            checkpoint,
            dtype=dtype,
            attn_implementation=NAME,
            quantization_config=four_bits(dtype) if config.quantization == "nf4" else None,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        why = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"{checkpoint} cannot be trained: transformers does not load it ({why}); give another: --set checkpoint=…"
        ) from None


def four_bits(compute: torch.dtype) -> Any:
    """bitsandbytes' settings of QLoRA: NormalFloat4, quantised constants, products in ``compute``."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
