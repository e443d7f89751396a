"""One head for all response losses: from hidden states in chunks, with gradients made while the logits exist."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from distill.losses.events import positive_temperature
from distill.losses.head_chunks import HeadChunks
from distill.losses.soft_targets import SoftTargets, SparseLogProbs
from distill.losses.soft_terms import ReadyTerm, SoftTerm


@dataclass(frozen=True, slots=True)
class FusedLosses:
    """``total_N`` carries the gradient; ``hard_N`` and ``soft_MN`` (a row for each term, unweighted) are to log."""

    total_N: torch.Tensor
    hard_N: torch.Tensor
    soft_MN: torch.Tensor


class _FusedHead(torch.autograd.Function):
    """Outputs total_N and the parts (1 + M, N). A trainable head makes it compute the errors in backward instead."""

    @staticmethod
    def forward(ctx: Any, hidden_NH: torch.Tensor, head_VH: torch.Tensor, chunks: HeadChunks) -> Any:
        wants_hidden, ctx.wants_head = ctx.needs_input_grad[:2]
        now = wants_hidden and not ctx.wants_head
        parts_MN = hidden_NH.new_empty(1 + len(chunks.terms), len(hidden_NH), dtype=chunks.hard_weight_N.dtype)
        gradient_NH = torch.empty_like(hidden_NH) if now else None
        for rows, parts_MC, error_CV in chunks.losses(hidden_NH, errors=now):
            parts_MN[:, rows] = parts_MC
            if gradient_NH is not None:
                gradient_NH[rows] = torch.mm(error_CV.to(head_VH.dtype), head_VH)
        chunks.spare = []
        weights_MN = torch.stack([chunks.hard_weight_N, *(term.scale_N for term in chunks.terms)])
        ctx.chunks = chunks
        ctx.save_for_backward(*((gradient_NH,) if now else (hidden_NH, head_VH)))
        ctx.mark_non_differentiable(parts_MN)
        return (weights_MN * parts_MN).sum(dim=0), parts_MN

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        total_gradient_N1 = gradients[0][:, None]
        if not ctx.wants_head:
            (gradient_NH,) = ctx.saved_tensors
            return gradient_NH * total_gradient_N1.to(gradient_NH.dtype), None, None
        # What weight each row has is known only now, and the head's gradient is a sum over rows: logits once more.
        hidden_NH, head_VH = ctx.saved_tensors
        gradient_NH = torch.empty_like(hidden_NH)
        gradient_VH = torch.zeros_like(head_VH)
        for rows, _parts_MC, error_CV in ctx.chunks.losses(hidden_NH, errors=True):
            narrow_CV = error_CV.mul_(total_gradient_N1[rows]).to(head_VH.dtype)
            gradient_NH[rows] = torch.mm(narrow_CV, head_VH)
            gradient_VH.addmm_(narrow_CV.T, hidden_NH[rows])
        ctx.chunks.spare = []
        return gradient_NH, gradient_VH, None


def fused_distillation(
    hidden_NH: torch.Tensor,
    head_VH: torch.Tensor,
    labels_N: torch.Tensor,
    terms: Sequence[SoftTerm] = (),
    *,
    hard_weight: float | torch.Tensor = 0.5,
) -> FusedLosses:
    """hard_weight * CE + sum over terms of weight * T^2 * divergence, of the student softmax(hidden @ head.T).

    No (N, V) tensor is kept: memory is a few chunks of logits. Equals ``response.combine`` over whole logits. A frozen
    head (``requires_grad`` false) gets no gradient; a trainable one does, for one more product with the logits.
    Errors: ValueError where shapes or types disagree, or a label is outside the vocabulary.
    Source: chunks with gradients made along are those of Liger-Kernel (arXiv 2410.10989), section 3.2.
    """
    _check(hidden_NH, head_VH, labels_N, terms)
    calculation = torch.promote_types(head_VH.dtype, torch.float32)

    def each_row(weight: float | torch.Tensor) -> torch.Tensor:
        given = torch.as_tensor(weight, dtype=calculation, device=hidden_NH.device).detach()
        if tuple(given.shape) not in ((), (len(labels_N),)):
            raise ValueError(f"a weight must be a number or ({len(labels_N)},), not {tuple(given.shape)}")
        return given.expand(len(labels_N))

    ready = []
    for term in terms:
        teacher = term.teacher.at(term.temperature) if isinstance(term.teacher, SoftTargets) else term.teacher
        if isinstance(teacher, SparseLogProbs):
            teacher.need_vocabulary(len(head_VH))
        b, scale_N = positive_temperature(term.temperature), each_row(term.weight) * term.temperature**2
        ready.append(ReadyTerm(teacher, term.divergence, b, scale_N))
    chunks = HeadChunks(head_VH.detach(), labels_N, each_row(hard_weight), ready)
    total_N, parts_MN = _FusedHead.apply(hidden_NH, head_VH, chunks)
    return FusedLosses(total_N, parts_MN[0], parts_MN[1:])


def _check(hidden_NH: torch.Tensor, head_VH: torch.Tensor, labels_N: torch.Tensor, terms: Sequence[SoftTerm]) -> None:
    shapes = f"hidden_NH {tuple(hidden_NH.shape)}, head_VH {tuple(head_VH.shape)}, labels_N {tuple(labels_N.shape)}"
    if hidden_NH.dim() != 2 or head_VH.dim() != 2 or hidden_NH.shape[1] != head_VH.shape[1]:
        raise ValueError(f"hidden states and head must be (N, H) and (V, H): {shapes}")
    if not hidden_NH.is_floating_point() or hidden_NH.dtype != head_VH.dtype:
        raise ValueError(f"hidden states and head must have one float type, not {hidden_NH.dtype} and {head_VH.dtype}")
    if labels_N.dtype != torch.int64 or tuple(labels_N.shape) != hidden_NH.shape[:1]:
        raise ValueError(f"labels must be (N,) int64, not {labels_N.dtype}: {shapes}")
    if len(labels_N) and not 0 <= int(labels_N.min()) <= int(labels_N.max()) < len(head_VH):
        raise ValueError(
            f"labels must be in 0..{len(head_VH) - 1}, not {int(labels_N.min())}..{int(labels_N.max())}: "
            "leave positions without a label out"
        )
    for term in terms:
        if len(term.teacher) != len(labels_N):
            raise ValueError(f"a teacher of {len(term.teacher)} positions cannot teach {len(labels_N)}: {shapes}")
