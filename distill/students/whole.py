"""A student of which every weight is trained: no adapter, and a head that learns with the rest."""

from typing import Any

import torch
from torch import nn

from distill.config import DistillConfig
from distill.student import Student

BYTES_A_NUMBER = {"adamw": 4, "paged_adamw_8bit": 1}
MOMENTS = 2  # AdamW keeps a mean and a mean square of each gradient


class Headless(nn.Module):
    """Stands in the head's place: passes hidden states on, and keeps its weight among the model's parameters.

    The loss projects labelled positions through this weight itself. It stays under its name in checkpoints, and where
    it is the embedding's (tied), it is still one parameter with one gradient from both uses.
    """

    def __init__(self, weight_VH: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight_VH

    def forward(self, hidden_BSH: torch.Tensor) -> torch.Tensor:
        return hidden_BSH


def train_whole(model: Any, config: DistillConfig) -> Student:
    """A student with all weights of a causal language model trainable; ``head_VH`` is its live head.

    The weights should be float32: AdamW's steps are mostly smaller than bfloat16 can add to them (Micikevicius et al.
    2018, arXiv 1710.03740, section 3.1).
    """
    torch.manual_seed(config.seed)
    weight_VH = model.get_output_embeddings().weight
    model.requires_grad_(True)
    model.lm_head = Headless(weight_VH)
    model.config.use_cache = False
    return Student(model, weight_VH, weight_VH.dtype)


def optimizer_bytes(student: Student, config: DistillConfig) -> int:
    """Memory of the optimizer's moments: with AdamW 8 bytes a trained float32 weight, with its 8-bit form 2."""
    return MOMENTS * BYTES_A_NUMBER[config.optimizer] * student.trainable_parameters


def runnable_state(student: Student) -> dict[str, torch.Tensor]:
    """The whole model's weights by transformers' names, on the CPU; a tied head is left out, as it is the embedding."""
    weights = student.base.state_dict()
    if student.base.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    return {name: weight.detach().cpu() for name, weight in weights.items()}
