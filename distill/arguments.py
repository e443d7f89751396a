"""The settings of a ``transformers`` training that all our trainers share, from the settings of a distillation."""

from pathlib import Path
from typing import Any

import torch

from distill.config import DistillConfig

KEPT_CHECKPOINTS = 2
OPTIMIZERS = {"adamw": "adamw_torch", "paged_adamw_8bit": "paged_adamw_8bit"}


def training_arguments(config: DistillConfig, folder: Path, *, steps: int, learning_rate: float) -> dict[str, Any]:
    """What ``TrainingArguments`` and its kind take; checkpoints go to ``folder``, written by time (see Watch)."""
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if config.schedule == "constant" else config.schedule,
        "warmup_steps": round(config.warmup_share * steps),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optim": OPTIMIZERS[config.optimizer],
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": 10**9,
        "save_total_limit": KEPT_CHECKPOINTS,
        "gradient_checkpointing": config.gradient_checkpointing,
        "bf16": False,  # the weights themselves are in the chosen type
        "fp16": False,
        "seed": config.seed,
        "data_seed": config.seed,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "use_cpu": not torch.cuda.is_available(),
    }
