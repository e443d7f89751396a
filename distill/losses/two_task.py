"""Two tasks in one student, to answer and to give the reason: predict + lambda * explain."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class TwoTasks:
    """Scalars: the sum, and each task's mean nats before its weight (0 where a batch has none of it)."""

    total: torch.Tensor
    predict: torch.Tensor
    explain: torch.Tensor


def two_task(nats_N: torch.Tensor, is_rationale_N: torch.Tensor, *, explain_weight: float = 1.0) -> TwoTasks:
    """The mean over answer tokens plus ``explain_weight`` times the mean over rationale tokens.

    Each task has its own mean, so that long rationales do not drown short answers. ``nats_N`` is the loss of each
    position (hard or combined), ``is_rationale_N`` bool. Errors: ValueError for other shapes, types, a weight below 0.
    Source: Hsieh et al. 2023, "Distilling step-by-step!", arXiv 2305.02301, section 3.2 (there lambda = 1 is enough).
    """
    if nats_N.dim() != 1 or nats_N.shape != is_rationale_N.shape:
        shapes = f"{tuple(nats_N.shape)} and {tuple(is_rationale_N.shape)}"
        raise ValueError(f"nats_N and is_rationale_N must both be (N,), not {shapes}")
    if is_rationale_N.dtype != torch.bool:
        raise ValueError(f"is_rationale_N must be bool, not {is_rationale_N.dtype}")
    if explain_weight < 0:
        raise ValueError(f"explain_weight must not be negative, as {explain_weight} is")
    predict, explain = _mean(nats_N, ~is_rationale_N), _mean(nats_N, is_rationale_N)
    return TwoTasks(predict + explain_weight * explain, predict, explain)


def _mean(nats_N: torch.Tensor, chosen_N: torch.Tensor) -> torch.Tensor:
    """The mean over the chosen; 0, with a gradient of 0, over none."""
    return torch.where(chosen_N, nats_N, 0).sum() / chosen_N.sum().clamp(min=1)
