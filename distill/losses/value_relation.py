"""Value relation of MiniLM: which places the values of a layer find alike, whatever the widths and head counts."""

import math

import torch

from distill.losses.attention_matrices import visible_places
from distill.losses.events import need_floats, wide

# Far below any score, yet finite: its share is 0, and 0 times the difference of two such logarithms is 0, not NaN.
HIDDEN_SCORE = -1e9


def value_relation(
    student_BKSD: torch.Tensor,
    teacher_BKSD: torch.Tensor,
    visible_BSS: torch.Tensor | None = None,
    *,
    relation_heads: int | None = None,
) -> torch.Tensor:
    """Scalar, nats: KL(teacher || student) between softmax(V V^T / sqrt(d)), mean over relation heads and places.

    Values are (B, K, S, D) as the cache holds them, with K key-value heads. Under grouped queries each is shared by the
    same number of query heads, so the mean over K is MiniLM's mean over query heads. Both sides are cut anew into
    ``relation_heads`` heads of the joined width K * D, as MiniLMv2 does (default: the greatest common divisor of both
    K, that is K where they agree). ``visible_BSS`` (bool; or (S, S)) is true where a place may look, causal for a
    decoder; a place that sees nothing is left out. Errors: ValueError where batches or lengths differ or do not divide.
    Source: Wang et al. 2020, "MiniLM", arXiv 2002.10957, equation 5; relation heads: arXiv 2012.15828.
    """
    if student_BKSD.dim() != 4 or teacher_BKSD.dim() != 4:
        raise ValueError(
            f"values must be (B, K, S, D), not {tuple(student_BKSD.shape)} and {tuple(teacher_BKSD.shape)}"
        )
    batch, student_heads, places, _ = student_BKSD.shape
    if teacher_BKSD.shape[0] != batch or teacher_BKSD.shape[2] != places:
        shapes = f"{tuple(student_BKSD.shape)} and {tuple(teacher_BKSD.shape)}"
        raise ValueError(f"values of student and teacher must be of the same texts, not {shapes}")
    need_floats(student_BKSD=student_BKSD, teacher_BKSD=teacher_BKSD)
    heads = math.gcd(student_heads, teacher_BKSD.shape[1]) if relation_heads is None else relation_heads
    hidden_BSS = None
    counted_BS = student_BKSD.new_ones(batch, places, dtype=torch.bool)
    if visible_BSS is not None:
        visible_BSS = visible_places(visible_BSS, batch, places, places)
        counted_BS = visible_BSS.any(dim=2)
        # A place that sees nothing has no distribution: let it see all, and do not count it.
        hidden_BSS = ~visible_BSS & counted_BS[:, :, None]
    student = _relation(student_BKSD, heads, hidden_BSS)
    teacher = _relation(teacher_BKSD, heads, hidden_BSS).to(student.dtype)
    divergence_BHS = (teacher.exp() * (teacher - student)).sum(dim=3).masked_fill(~counted_BS[:, None], 0)
    return divergence_BHS.sum() / (counted_BS.sum() * heads).clamp(min=1)


def _relation(value_BKSD: torch.Tensor, heads: int, hidden_BSS: torch.Tensor | None) -> torch.Tensor:
    """Log-probabilities (B, heads, S, S); hidden places get a probability of zero, as a finite logarithm."""
    batch, given_heads, places, width = value_BKSD.shape
    joined = given_heads * width
    if heads < 1 or joined % heads:
        raise ValueError(f"{heads} relation heads do not divide the joined width {joined} of the values")
    value_BSHD = wide(value_BKSD).transpose(1, 2).reshape(batch, places, heads, joined // heads)
    value_BHSD = value_BSHD.transpose(1, 2)
    scores_BHSS = value_BHSD @ value_BHSD.transpose(2, 3) / math.sqrt(joined // heads)
    if hidden_BSS is not None:
        scores_BHSS = scores_BHSS.masked_fill(hidden_BSS[:, None], HIDDEN_SCORE)
    return scores_BHSS.log_softmax(dim=3)
