"""Losses and their gradients over logits that exist only in chunks: the arithmetic under the fused head.

A sparse loss sees the logits z only through the top-k's and the label's entries and through R = log sum exp(b * z) over
the tail, so its gradient is one softmax over the tail, scaled, and k entries: at T = 1 the same softmax serves the
cross-entropy too, at another T one more is needed. Dense losses go through autograd, chunk by chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch

from distill.losses.response import student_events
from distill.losses.soft_targets import SparseLogProbs
from distill.losses.soft_terms import ReadyTerm

# 256 x 49,152 float32 logits are 50 MB: small enough to stay near the cache, large enough for a good product.
CHUNK_ELEMENTS = 256 * 49_152
LEAST_CHUNK_ROWS = 16


@dataclass(slots=True)
class HeadChunks:
    """The buffers of one pass; made once, as fresh pages for every chunk cost more than the arithmetic on them."""

    head_VH: torch.Tensor
    labels_N: torch.Tensor
    hard_weight_N: torch.Tensor
    terms: Sequence[ReadyTerm]
    spare: list[torch.Tensor] = field(default_factory=list)

    def losses(self, hidden_NH: torch.Tensor, errors: bool) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """For each chunk: its rows, the parts (1 + M, C) and, with ``errors``, d total / d logits (C, V).

        The parts are the cross-entropy and each term's divergence, unweighted; the error's memory is used again.
        """
        vocabulary = len(self.head_VH)
        step = max(LEAST_CHUNK_ROWS, CHUNK_ELEMENTS // vocabulary)
        calculation = torch.promote_types(self.head_VH.dtype, torch.float32)
        most = min(step, len(hidden_NH))
        self.spare = [hidden_NH.new_empty(most, vocabulary, dtype=calculation) for _ in range(4 if self.terms else 2)]
        for start in range(0, len(hidden_NH), step):
            rows = slice(start, min(start + step, len(hidden_NH)))
            logits_CV = self.spare[0][: rows.stop - start]
            if calculation == self.head_VH.dtype:
                torch.mm(hidden_NH[rows], self.head_VH.T, out=logits_CV)
            else:
                logits_CV.copy_(torch.mm(hidden_NH[rows], self.head_VH.T))
            error_CV = self.spare[1][: rows.stop - start]
            yield rows, self._chunk(rows, logits_CV, error_CV, errors), error_CV

    def _chunk(self, rows: slice, logits_CV: torch.Tensor, error_CV: torch.Tensor, errors: bool) -> torch.Tensor:
        labels_C1 = self.labels_N[rows, None]
        label_C = logits_CV.gather(1, labels_C1)[:, 0]
        hard_weight_C = self.hard_weight_N[rows]
        soft: list[torch.Tensor | None] = [None] * len(self.terms)
        # A sparse term at T = 1 brings the normaliser of the cross-entropy with it.
        shared = next((i for i, t in enumerate(self.terms) if t.b == 1 and _tailed(t, logits_CV)), None)
        if shared is None:
            total_C = _softmax(logits_CV, error_CV)
            hard_C = total_C - label_C
            if errors:
                error_CV.mul_(hard_weight_C[:, None])
        else:
            soft[shared], hard_C = self._sparse(shared, rows, logits_CV, error_CV, None, errors, label_C)
        if errors:
            error_CV.scatter_add_(1, labels_C1, -hard_weight_C[:, None])
        for i, term in enumerate(self.terms):
            if i == shared:
                continue
            if _tailed(term, logits_CV):
                scratch_CV = self.spare[2][: len(logits_CV)]
                soft[i], _ = self._sparse(i, rows, logits_CV, error_CV, scratch_CV, errors, None)
            else:
                soft[i] = _dense(term, rows, logits_CV, error_CV if errors else None)
        return torch.stack([hard_C, *(part for part in soft if part is not None)])

    def _sparse(
        self,
        index: int,
        rows: slice,
        logits_CV: torch.Tensor,
        error_CV: torch.Tensor,
        scratch_CV: torch.Tensor | None,
        errors: bool,
        label_C: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Soft (C,) and, where it carries the cross-entropy (``label_C``), hard (C,); writes or adds to the error.

        Without ``scratch_CV`` the tail's softmax is made in ``error_CV`` itself.
        """
        term = self.terms[index]
        teacher = cast(SparseLogProbs, term.teacher).rows(rows)
        topk_CK = logits_CV.gather(1, teacher.ids_NK)
        logits_CV.scatter_(1, teacher.ids_NK, float("-inf"))
        if scratch_CV is None:
            tail_C = _softmax(logits_CV, error_CV)
            softmax_CV = error_CV
        else:
            softmax_CV = self.spare[3][: len(logits_CV)]
            tail_C = _softmax(torch.mul(logits_CV, term.b, out=scratch_CV), softmax_CV)
        logits_CV.scatter_(1, teacher.ids_NK, topk_CK)
        hard_C = torch.zeros_like(tail_C)
        with torch.enable_grad():
            topk_CK, tail_C = topk_CK.requires_grad_(), tail_C.requires_grad_()
            student_CE = student_events(term.b * topk_CK, tail_C)
            soft_C = term.divergence(teacher.events(logits_CV.shape[1]).to(student_CE.dtype), student_CE)
            total = (term.scale_N[rows] * soft_C).sum()
            if label_C is not None:
                hard_C = torch.cat([topk_CK, tail_C[:, None]], dim=1).logsumexp(dim=1) - label_C
                total = total + (self.hard_weight_N[rows] * hard_C).sum()
            d_topk_CK, d_tail_C = torch.autograd.grad(total, (topk_CK, tail_C)) if errors else (None, None)
        if d_tail_C is not None:
            slope_C1 = (d_tail_C * term.b)[:, None]
            if scratch_CV is None:
                error_CV.mul_(slope_C1)
            else:
                error_CV.addcmul_(softmax_CV, slope_C1)
            error_CV.scatter_add_(1, teacher.ids_NK, d_topk_CK)
        return soft_C.detach(), hard_C.detach()


def _tailed(term: ReadyTerm, logits_CV: torch.Tensor) -> bool:
    """Whether a term is sparse with a tail; a sparse one that holds the whole vocabulary is computed as dense."""
    return isinstance(term.teacher, SparseLogProbs) and term.teacher.ids_NK.shape[1] < logits_CV.shape[1]


def _softmax(values_CV: torch.Tensor, out_CV: torch.Tensor) -> torch.Tensor:
    """Writes the softmax of each row and returns its log-sum-exp (C,): largest entry minus the log of its share."""
    torch.softmax(values_CV, dim=1, out=out_CV)
    return values_CV.amax(dim=1) - out_CV.amax(dim=1).log()


def _dense(term: ReadyTerm, rows: slice, logits_CV: torch.Tensor, error_CV: torch.Tensor | None) -> torch.Tensor:
    """Soft (C,) over the whole vocabulary; adds its gradient to the error."""
    with torch.enable_grad():
        leaf_CV = logits_CV.detach().requires_grad_()
        student_CV = (term.b * leaf_CV).log_softmax(dim=1)
        if isinstance(term.teacher, SparseLogProbs):
            part = term.teacher.rows(rows)
            teacher_CV = torch.empty_like(logits_CV).scatter_(1, part.ids_NK, part.logprobs_NK.to(logits_CV.dtype))
        else:
            teacher_CV = (term.b * term.teacher.logits(rows).detach()).log_softmax(dim=1)
        soft_C = term.divergence(teacher_CV, student_CV)
        if error_CV is not None:
            (gradient_CV,) = torch.autograd.grad((term.scale_N[rows] * soft_C).sum(), leaf_CV)
            error_CV.add_(gradient_CV)
    return soft_C.detach()
