"""Generalised Jensen-Shannon divergence: both sides against their mixture, between forward and reverse KL by beta."""

import math

import torch

from distill.losses.events import kl_nats, share_in_unit_interval, two_distributions


def jensen_shannon(
    teacher_logprobs_NE: torch.Tensor, student_logprobs_NE: torch.Tensor, *, beta: float = 0.5
) -> torch.Tensor:
    """Nats, shape (N,): beta * KL(p || m) + (1 - beta) * KL(q || m), where m = beta * p + (1 - beta) * q.

    p is the teacher, q the student. Divided by beta it approaches forward KL as beta -> 0; divided by 1 - beta it
    approaches reverse KL as beta -> 1. At 0.5 it is symmetric and at most log 2. Over sparse events: a lower bound.
    Errors: ValueError unless 0 < beta < 1 (at the ends the value is 0: use ``forward_kl`` or ``reverse_kl``).
    Source: Agarwal et al. 2023, "On-policy distillation of language models" (GKD), arXiv 2306.13649, section 2.
    """
    share_in_unit_interval("beta", beta, zero=False)
    teacher, student = two_distributions(teacher_logprobs_NE, student_logprobs_NE)
    mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return beta * kl_nats(teacher, mixture) + (1 - beta) * kl_nats(student, mixture)
