"""Response-based distillation: any divergence between the logits of teacher and student, dense or sparse, at any T.

The whole logits are given here; ``fused`` computes the same from hidden states without ever holding them.
"""

from dataclasses import dataclass
from functools import partial

import torch

from distill.losses.events import Divergence, need_floats, positive_temperature, wide
from distill.losses.forward_kl import forward_kl
from distill.losses.jensen_shannon import jensen_shannon
from distill.losses.reverse_kl import reverse_kl
from distill.losses.skew_kl import skew_forward_kl, skew_reverse_kl
from distill.losses.soft_targets import SoftTargets, SparseLogProbs
from distill.losses.total_variation import total_variation

DIVERGENCES = ("forward_kl", "reverse_kl", "jensen_shannon", "skew_forward_kl", "skew_reverse_kl", "total_variation")


@dataclass(frozen=True, slots=True)
class Components:
    """The combined loss and its parts, each (N,): ``soft_N`` is the divergence before weight and temperature."""

    total_N: torch.Tensor
    hard_N: torch.Tensor
    soft_N: torch.Tensor


def divergence_named(name: str, *, beta: float = 0.5, alpha: float = 0.1) -> Divergence:
    """A divergence by name; ``beta`` is that of Jensen-Shannon, ``alpha`` that of the skew divergences.

    Errors: ValueError for a name not in DIVERGENCES.
    """
    plain: dict[str, Divergence] = {
        "forward_kl": forward_kl,
        "reverse_kl": reverse_kl,
        "jensen_shannon": partial(jensen_shannon, beta=beta),
        "skew_forward_kl": partial(skew_forward_kl, alpha=alpha),
        "skew_reverse_kl": partial(skew_reverse_kl, alpha=alpha),
        "total_variation": total_variation,
    }
    if name not in plain:
        raise ValueError(f"no divergence is called {name!r}; choose one of {', '.join(DIVERGENCES)}")
    return plain[name]


def dense_divergence(
    teacher_logits_NV: torch.Tensor,
    student_logits_NV: torch.Tensor,
    divergence: Divergence = forward_kl,
    *,
    temperature: float = 1.0,
) -> torch.Tensor:
    """The divergence over the whole vocabulary, shape (N,), both sides at ``temperature``; not yet times T^2.

    The teacher's log-probabilities serve as its logits: they differ by a constant of the row.
    """
    b = positive_temperature(temperature)
    need_floats(teacher_logits_NV=teacher_logits_NV, student_logits_NV=student_logits_NV)
    teacher_NV = (b * wide(teacher_logits_NV)).log_softmax(dim=-1)
    return divergence(teacher_NV, (b * wide(student_logits_NV)).log_softmax(dim=-1))


def sparse_divergence(
    targets: SoftTargets | SparseLogProbs,
    student_logits_NV: torch.Tensor,
    divergence: Divergence = forward_kl,
    *,
    temperature: float = 1.0,
) -> torch.Tensor:
    """The divergence over the teacher's top-k and its tail as one bucket, shape (N,); not yet times T^2.

    A lower bound of the dense value, as merging events can only lower an f-divergence; equal to it where k = V.
    ``SparseLogProbs`` are taken as they are: they must be the teacher at this temperature already.
    """
    teacher = targets.at(temperature) if isinstance(targets, SoftTargets) else targets
    b = positive_temperature(temperature)
    need_floats(student_logits_NV=student_logits_NV)
    if student_logits_NV.dim() != 2 or len(student_logits_NV) != len(teacher.ids_NK):
        raise ValueError(
            f"student_logits_NV must be a matrix of {len(teacher.ids_NK)} rows, as the soft targets have, "
            f"not {tuple(student_logits_NV.shape)}"
        )
    teacher.need_vocabulary(student_logits_NV.shape[1])
    scaled_NV = b * wide(student_logits_NV)
    topk_NK = scaled_NV.gather(1, teacher.ids_NK)
    vocabulary = scaled_NV.shape[1]
    tail_N = None
    if teacher.ids_NK.shape[1] < vocabulary:
        tail_N = scaled_NV.scatter(1, teacher.ids_NK, float("-inf")).logsumexp(dim=1)
    return divergence(teacher.events(vocabulary), student_events(topk_NK, tail_N))


def student_events(topk_NK: torch.Tensor, tail_N: torch.Tensor | None) -> torch.Tensor:
    """Log-probabilities (N, K + 1) from scaled logits of the top-k and the log-sum-exp of the others."""
    events_NE = topk_NK if tail_N is None else torch.cat([topk_NK, tail_N[:, None]], dim=1)
    return events_NE.log_softmax(dim=1)


def combine(
    hard_N: torch.Tensor,
    soft_N: torch.Tensor,
    *,
    temperature: float = 1.0,
    hard_weight: float | torch.Tensor = 0.5,
    soft_weight: float | torch.Tensor = 0.5,
) -> Components:
    """L = a * CE + b * T^2 * D, position by position; weights are numbers or (N,), see ``confidence``.

    T^2 keeps the soft gradient as large as the hard one, whatever the temperature. Noisy labels want more soft weight.
    Source: Hinton, Vinyals, Dean 2015, arXiv 1503.02531, section 2.
    """
    positive_temperature(temperature)
    if hard_N.shape != soft_N.shape:
        raise ValueError(f"hard_N and soft_N must be of one shape, not {tuple(hard_N.shape)} and {tuple(soft_N.shape)}")
    return Components(hard_weight * hard_N + soft_weight * temperature**2 * soft_N, hard_N, soft_N)
