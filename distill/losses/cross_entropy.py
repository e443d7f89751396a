"""Cross-entropy of hard labels, computed from hidden states in chunks: no (N, V) matrix is ever kept."""

from typing import Any

import torch

# 256 x 49,152 float32 logits are 50 MB: small enough to stay near the cache, large enough for a good product.
CHUNK_ROWS = 256


class _LinearCrossEntropy(torch.autograd.Function):
    """Forward computes the gradient of the hidden states with the loss, as the logits are at hand only there."""

    @staticmethod
    def forward(ctx: Any, hidden_NH: torch.Tensor, head_VH: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        nats_N = torch.empty(len(labels_N), dtype=torch.float32, device=hidden_NH.device)
        wants_gradient = ctx.needs_input_grad[0]
        gradient_NH = torch.empty_like(hidden_NH) if wants_gradient else None
        for start in range(0, len(labels_N), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            labels_C = labels_N[rows]
            logits_CV = torch.mm(hidden_NH[rows], head_VH.T)
            if logits_CV.dtype in (torch.bfloat16, torch.float16):
                logits_CV = logits_CV.float()
            total_C1 = torch.logsumexp(logits_CV, dim=1, keepdim=True)
            nats_N[rows] = (total_C1 - logits_CV.gather(1, labels_C[:, None]))[:, 0].float()
            if gradient_NH is not None:
                # softmax - onehot, in the memory of the logits
                error_CV = logits_CV.sub_(total_C1).exp_()
                error_CV[torch.arange(len(labels_C)), labels_C] -= 1
                gradient_NH[rows] = torch.mm(error_CV.to(head_VH.dtype), head_VH)
        ctx.save_for_backward(gradient_NH)
        return nats_N

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
        (gradient_NH,) = ctx.saved_tensors
        if gradient_NH is None:
            return None, None, None
        return gradient_NH * gradients[0][:, None].to(gradient_NH.dtype), None, None


def linear_cross_entropy(hidden_NH: torch.Tensor, head_VH: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood (nats) of each label under softmax(hidden @ head.T), shape (N,).

    ``head_VH`` is frozen: it gets no gradient. Equals ``F.cross_entropy(hidden @ head.T, labels, reduction="none")``.
    The fused form is that of Liger-Kernel (arXiv 2410.10989), section 3.2.
    """
    return _LinearCrossEntropy.apply(hidden_NH, head_VH, labels_N)
