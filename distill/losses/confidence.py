"""Weights by the teacher's confidence: where it doubts the label, the hard loss counts more and the soft one less.

Gate g in [0, 1] says how much it doubts; then hard + boost * g * soft and soft - boost * g * soft, so that the sum of
both weights, and with it the size of a step, stays what it was. The idea of weighting by the teacher's probability of
the label is that of Tang et al. 2020, "Understanding and improving knowledge distillation", arXiv 2002.03532.
"""

from dataclasses import dataclass

import torch

from distill.losses.events import need_floats, wide


@dataclass(frozen=True, slots=True)
class Weights:
    """``hard_N`` and ``soft_N``: what ``response.combine`` and ``fused_distillation`` take."""

    hard_N: torch.Tensor
    soft_N: torch.Tensor


def threshold_weights(
    label_logprob_N: torch.Tensor,
    *,
    hard: float = 0.5,
    soft: float = 0.5,
    threshold: float = 0.5,
    boost: float = 0.5,
) -> Weights:
    """Weights by a step: g = 1 where the teacher's probability of the label is below ``threshold``, else 0.

    ``boost`` is the share of the soft weight that moves over, 0 to 1. Errors: ValueError for values outside [0, 1].
    """
    _check(label_logprob_N, threshold, boost)
    gate_N = (wide(label_logprob_N).exp() < threshold).to(wide(label_logprob_N).dtype)
    return _weights(gate_N, hard, soft, boost)


def smooth_weights(
    label_logprob_N: torch.Tensor,
    *,
    hard: float = 0.5,
    soft: float = 0.5,
    threshold: float = 0.5,
    width: float = 0.1,
    boost: float = 0.5,
) -> Weights:
    """Weights without a step: g = sigmoid((threshold - p) / width), one half where p is the threshold.

    As ``width`` goes to 0 they become those of ``threshold_weights``. Errors: ValueError as there, or for width <= 0.
    """
    _check(label_logprob_N, threshold, boost)
    if width <= 0:
        raise ValueError(f"width must be above 0, not {width}; a step is threshold_weights")
    return _weights(torch.sigmoid((threshold - wide(label_logprob_N).exp()) / width), hard, soft, boost)


def _weights(gate_N: torch.Tensor, hard: float, soft: float, boost: float) -> Weights:
    moved_N = boost * soft * gate_N
    return Weights(hard + moved_N, soft - moved_N)


def _check(label_logprob_N: torch.Tensor, threshold: float, boost: float) -> None:
    need_floats(label_logprob_N=label_logprob_N)
    for name, value in (("threshold", threshold), ("boost", boost)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], not {value}")
