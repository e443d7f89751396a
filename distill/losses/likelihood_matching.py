"""Approximate likelihood matching: across tokenisers, by how likely each side finds byte-aligned pieces of the text.

It needs the teacher's log-probability of the text and nothing else of it, so any model can teach any other.
"""

import torch

from distill.losses.events import Divergence, log1mexp, need_floats, wide
from distill.losses.forward_kl import forward_kl

# No piece is quite certain: log(1 - p) and its gradient stay finite, as in the authors' code (tokenkit, losses.py).
CERTAINTY_GAP = 1e-6


def piece_logprobs(logprobs_N: torch.Tensor, pieces_N: torch.Tensor, pieces: int) -> torch.Tensor:
    """Log-likelihood of each piece, shape (X,): the sum over its tokens (chain rule); tokens of piece -1 are left out.

    Errors: ValueError unless both are (N,), the second int64 and in -1..pieces - 1.
    """
    need_floats(logprobs_N=logprobs_N)
    if logprobs_N.dim() != 1 or logprobs_N.shape != pieces_N.shape or pieces_N.dtype != torch.int64:
        shapes = f"{tuple(logprobs_N.shape)} and {tuple(pieces_N.shape)} {pieces_N.dtype}"
        raise ValueError(f"log-probabilities and int64 pieces must both be (N,), not {shapes}")
    if len(pieces_N) and not -1 <= int(pieces_N.min()) <= int(pieces_N.max()) < pieces:
        raise ValueError(f"pieces must be in -1..{pieces - 1}, not {int(pieces_N.min())}..{int(pieces_N.max())}")
    inside_N = pieces_N >= 0
    values = wide(logprobs_N)[inside_N]
    return values.new_zeros(pieces).index_add(0, pieces_N[inside_N], values)


def likelihood_matching(
    teacher_logprobs_X: torch.Tensor,
    student_logprobs_X: torch.Tensor,
    divergence: Divergence = forward_kl,
    *,
    temperature: float = 100.0,
) -> torch.Tensor:
    """The f-divergence between two coins, shape (X,): heads p^(1/T) "this piece", tails 1 - p^(1/T) "any other".

    Pieces that no teacher finds likely, as they are long, still differ in p^(1/T): hence the large T. Any divergence of
    this package serves. Times T it has a limit for T -> infinity, for forward KL with x = log p, y = log q:
    x - y - x * log(x / y). Differs from the cross-entropy of the authors' default only by the teacher's entropy.
    Errors: ValueError unless both are (X,) and T is at least 1.
    Source: Minixhofer, Vulić, Ponti 2025, arXiv 2503.20083, section 3; the debiasing of pieces that the teacher's
    tokeniser would not end there is not part of it, as it needs more than the log-probability of the text.
    """
    if teacher_logprobs_X.dim() != 1 or teacher_logprobs_X.shape != student_logprobs_X.shape:
        shapes = f"{tuple(teacher_logprobs_X.shape)} and {tuple(student_logprobs_X.shape)}"
        raise ValueError(f"log-likelihoods must be (X,) of the same pieces, not {shapes}")
    need_floats(teacher_logprobs_X=teacher_logprobs_X, student_logprobs_X=student_logprobs_X)
    if not 1 <= temperature < float("inf"):
        raise ValueError(f"temperature must be at least 1, not {temperature}")
    return divergence(_coins(teacher_logprobs_X, temperature), _coins(student_logprobs_X, temperature))


def _coins(logprobs_X: torch.Tensor, temperature: float) -> torch.Tensor:
    """(X, 2): log p^(1/T) and log(1 - p^(1/T))."""
    # Rounding may leave a sum of log-probabilities a little above zero.
    heads_X = wide(logprobs_X).clamp(max=0) / temperature - CERTAINTY_GAP
    return torch.stack([heads_X, log1mexp(heads_X)], dim=1)
