"""Attention-based distillation: each head of the student should look where the teacher's head looks."""

import torch

from distill.losses.events import need_floats, wide


def attention_mse(
    student_BHQS: torch.Tensor, teacher_BHQS: torch.Tensor, visible_BQS: torch.Tensor | None = None
) -> torch.Tensor:
    """Scalar: mean squared difference of attention matrices over heads and visible places.

    Pass scores before the softmax, as the paper does (it converges faster), or probabilities. ``visible_BQS`` (bool; or
    (Q, S)) is true where a place may be seen: the rest, -inf in scores, is left out. Equals ``F.mse_loss`` without it.
    Errors: ValueError unless both have the same heads and places; for other head counts use ``value_relation``.
    Source: Jiao et al. 2020, "TinyBERT", arXiv 1909.10351, equation 7.
    """
    if student_BHQS.dim() != 4 or student_BHQS.shape != teacher_BHQS.shape:
        shapes = f"{tuple(student_BHQS.shape)} and {tuple(teacher_BHQS.shape)}"
        raise ValueError(f"attention must be (B, H, Q, S) of one shape, not {shapes}; else use value_relation")
    need_floats(student_BHQS=student_BHQS, teacher_BHQS=teacher_BHQS)
    student = wide(student_BHQS)
    teacher = teacher_BHQS.to(student.dtype)
    if visible_BQS is None:
        return (student - teacher).square().mean()
    visible = visible_places(visible_BQS, student_BHQS.shape[0], *student_BHQS.shape[2:])[:, None]
    # Hidden places are -inf in scores: take them out before the difference, or their gradient is NaN.
    difference = torch.where(visible, student, 0) - torch.where(visible, teacher, 0)
    return difference.square().sum() / (visible.sum() * student.shape[1]).clamp(min=1)


def visible_places(visible: torch.Tensor, batch: int, queries: int, places: int) -> torch.Tensor:
    """(B, Q, S) of a mask given so or as (Q, S). Errors: ValueError for another shape or type."""
    if visible.dtype != torch.bool or tuple(visible.shape) not in ((queries, places), (batch, queries, places)):
        wanted = f"({queries}, {places}) or ({batch}, {queries}, {places})"
        raise ValueError(f"visible must be bool {wanted}, not {visible.dtype} {tuple(visible.shape)}")
    return visible.expand(batch, queries, places)
