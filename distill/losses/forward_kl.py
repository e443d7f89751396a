"""Forward Kullback-Leibler divergence KL(teacher || student): the student must cover all that the teacher might say."""

import torch

from distill.losses.events import kl_nats, two_distributions


def forward_kl(teacher_logprobs_NE: torch.Tensor, student_logprobs_NE: torch.Tensor) -> torch.Tensor:
    """Nats, shape (N,): sum over E of p * (log p - log q).

    Equals ``F.kl_div(student, teacher, reduction="none", log_target=True).sum(1)``; events that the teacher gives
    probability zero cost nothing. Over sparse events (top-k and one tail bucket) it is a lower bound of the dense
    value; the difference is p_tail * KL(teacher's tail || student's tail), both renormalised.
    Source: Hinton, Vinyals, Dean 2015, "Distilling the knowledge in a neural network", arXiv 1503.02531.
    """
    teacher, student = two_distributions(teacher_logprobs_NE, student_logprobs_NE)
    return kl_nats(teacher, student)
