"""An adapter that begins where a molt ended: its GGUF read back into PEFT's layers."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from distill.export.adapter import PERMUTED, gguf_name, unpermute
from distill.export.merge import adapter_pairs
from memory.errors import TrainingError

if TYPE_CHECKING:
    from distill.student import Student


def go_on_from(student: "Student", adapter: Path) -> None:
    """Fill the student's adapter with the weights of a molt's (``adapter``, a LoRA GGUF in f16).

    Both must have the same rank and scaling; what is learnt goes on from what the molt says. Errors: TrainingError.
    """
    pairs, alpha = adapter_pairs(adapter)
    model_config = student.base.config
    heads = {"attn_q": model_config.num_attention_heads, "attn_k": model_config.num_key_value_heads}
    settings = student.model.peft_config["default"]
    for key, parameter in student.model.named_parameters():
        if not parameter.requires_grad:
            continue
        name, side = gguf_name(key.replace(".default.", "."))
        pair = pairs.get(f"{name}.weight")
        if pair is None:
            raise TrainingError(f"{adapter}: no {name}; it belongs to another base: --set start=base")
        weight = torch.from_numpy(pair["ab".index(side)].astype("float32"))
        if side == "b" and model_config.model_type in PERMUTED and name.rpartition(".")[2] in heads:
            weight = unpermute(weight, heads[name.rpartition(".")[2]])
        if weight.shape != parameter.shape or (alpha and alpha != settings.lora_alpha):
            rank = pair[0].shape[0]
            raise TrainingError(
                f"{adapter} has rank {rank} and alpha {alpha:g}, which the settings do not: "
                f"--set lora_rank={rank} --set lora_alpha={alpha:g}, or --set start=base"
            )
        with torch.no_grad():
            parameter.copy_(weight)
