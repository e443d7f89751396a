"""Reverse Kullback-Leibler divergence KL(student || teacher): the student must say nothing the teacher would not."""

import torch

from distill.losses.events import kl_nats, two_distributions


def reverse_kl(teacher_logprobs_NE: torch.Tensor, student_logprobs_NE: torch.Tensor) -> torch.Tensor:
    """Nats, shape (N,): sum over E of q * (log q - log p).

    The divergence of MiniLLM at each position; the paper's policy gradient over whole samples is not part of it. An
    event of the teacher's probability zero counts as e^-30000, so that the value stays finite, but it is large:
    smooth such teachers or use a skew divergence. Over sparse events it is a lower bound of the dense value.
    Source: Gu, Dong, Wei, Huang 2023, "MiniLLM", arXiv 2306.08543.
    """
    teacher, student = two_distributions(teacher_logprobs_NE, student_logprobs_NE)
    return kl_nats(student, teacher)
