"""Feature-based distillation: the student's hidden states should be the teacher's, by distance or by direction."""

import torch
import torch.nn.functional as F

from distill.losses.events import need_floats, wide


def hidden_l2(student_ND: torch.Tensor, teacher_ND: torch.Tensor) -> torch.Tensor:
    """Half the squared distance, averaged over the width, shape (N,).

    The average instead of FitNets' sum makes a weight mean the same at every width. Equals half of ``F.mse_loss``.
    Errors: ValueError unless both are (N, D); where widths differ, project first (``hints``).
    Source: Romero et al. 2015, "FitNets: hints for thin deep nets", arXiv 1412.6550, equation 3.
    """
    student, teacher = _states(student_ND, teacher_ND)
    return 0.5 * (student - teacher).square().mean(dim=1)


def hidden_cosine(student_ND: torch.Tensor, teacher_ND: torch.Tensor) -> torch.Tensor:
    """1 - cosine of the angle between both, shape (N,), from 0 to 2: direction alone, lengths are free.

    Equals ``F.cosine_embedding_loss`` with target 1. Errors: ValueError unless both are (N, D).
    Source: Sanh et al. 2019, "DistilBERT", arXiv 1910.01108, section 2.
    """
    student, teacher = _states(student_ND, teacher_ND)
    return 1 - F.cosine_similarity(student, teacher, dim=1)


def _states(student_ND: torch.Tensor, teacher_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if student_ND.dim() != 2 or student_ND.shape != teacher_ND.shape:
        shapes = f"{tuple(student_ND.shape)} and {tuple(teacher_ND.shape)}"
        raise ValueError(f"hidden states must be (N, D) of one shape, not {shapes}; project where widths differ")
    need_floats(student_ND=student_ND, teacher_ND=teacher_ND)
    student = wide(student_ND)
    return student, teacher_ND.to(student.dtype)
