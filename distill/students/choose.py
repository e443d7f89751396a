"""The student that the settings ask for: an adapter on a GGUF or on its checkpoint, or a whole model, cut or not."""

from pathlib import Path

import torch

from distill.config import DistillConfig
from distill.processes import divided
from distill.student import Student, load_base, load_student
from distill.students.checkpoint import load_checkpoint, load_model
from distill.students.layer_cut import cut_layers
from distill.students.pairing import check_pair, check_weights
from distill.students.whole import train_whole
from memory.errors import TrainingError


def make_student(gguf: Path, config: DistillConfig, dtype: torch.dtype = torch.float32) -> Student:
    """A student of the base in ``gguf``; the same seed gives the same first weights.

    ``student = adapter``: LoRA on the GGUF's own weights, or on those of ``checkpoint`` (in 4 bits with
    ``quantization = nf4``). ``student = whole``: all weights, in float32 whatever ``dtype`` says, of all layers or of
    ``keep_layers`` of them. Errors: TrainingError.
    """
    if config.optimizer == "paged_adamw_8bit" and not torch.cuda.is_available():
        raise TrainingError("optimizer = paged_adamw_8bit needs a CUDA device; without one: --set optimizer=adamw")
    if config.student == "whole" and divided():
        raise TrainingError(
            "a student trained whole needs its head whole, which FSDP divides: use distill/accelerate/ddp.yaml"
        )
    if config.student == "adapter":
        return (
            load_checkpoint(config.checkpoint, gguf, config, dtype)
            if config.checkpoint
            else load_student(gguf, config, dtype)
        )
    if config.checkpoint:
        check_pair(config.checkpoint, gguf)
        model = load_model(config.checkpoint, config, torch.float32)
        check_weights(model, config.checkpoint, gguf)
    else:
        model = load_base(gguf, torch.float32)
    if config.keep_layers:
        cut_layers(model, config.keep_layers)
    return train_whole(model, config)
