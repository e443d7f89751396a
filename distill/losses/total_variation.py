"""Total variation distance: half the sum of absolute differences, bounded by one and blind to how small is small."""

import torch

from distill.losses.events import two_distributions


def total_variation(teacher_logprobs_NE: torch.Tensor, student_logprobs_NE: torch.Tensor) -> torch.Tensor:
    """Between 0 and 1 (no nats), shape (N,): 0.5 * sum over E of |p - q|.

    Over sparse events it is a lower bound of the dense value. Where p = q the subgradient is 0. By Pinsker's
    inequality it is at most sqrt(KL / 2).
    Source: Wen, Li, Du, Mou 2023, "f-divergence minimization for sequence-level knowledge distillation",
    arXiv 2307.15190, section 2.
    """
    teacher, student = two_distributions(teacher_logprobs_NE, student_logprobs_NE)
    return 0.5 * (teacher.exp() - student.exp()).abs().sum(dim=1)
