"""Direct preference optimisation: of two replies to a question, raise the one that was wanted against the other."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True, slots=True)
class Preference:
    """Scalars: ``total`` carries the gradient, its two terms before the weight are to log.

    ``margins_P`` (nats) says how far each pair has moved from the reference.
    """

    total: torch.Tensor
    preference: torch.Tensor
    replies: torch.Tensor
    margins_P: torch.Tensor


def preference_loss(
    nats_N: torch.Tensor,
    pairs_N: torch.Tensor,
    is_chosen_N: torch.Tensor,
    reference_nats_P2: torch.Tensor,
    *,
    beta: float,
    sft_weight: float = 0.0,
) -> Preference:
    """Mean over P pairs of -log sigmoid(beta * margin), plus ``sft_weight`` times the mean nats of chosen tokens.

    The margin of a pair is log(p/p_ref)(chosen) - log(p/p_ref)(rejected), each reply's log-probability summed over its
    tokens. ``nats_N`` is the cross-entropy of each reply token, ``pairs_N`` (int64, 0..P-1) its pair, ``is_chosen_N``
    (bool) its side, ``reference_nats_P2`` the sums of nats of (chosen, rejected) under the reference. The second term
    keeps the chosen reply from growing rarer with the rejected one.
    Errors: ValueError for other shapes, types, a beta that is not positive, a weight below 0, no pairs.
    Source: Rafailov et al. 2023, arXiv 2305.18290, equation 7; the second term: Pang et al. 2024, arXiv 2404.19733,
    equation 2, with its mean over tokens.
    """
    _check(nats_N, pairs_N, is_chosen_N, reference_nats_P2, beta, sft_weight)
    nats_P2 = summed(nats_N, pairs_N, is_chosen_N, len(reference_nats_P2))
    gained_P2 = reference_nats_P2.to(nats_P2.dtype) - nats_P2
    margins_P = gained_P2[:, 0] - gained_P2[:, 1]
    preference = -F.logsigmoid(beta * margins_P).mean()
    replies = torch.where(is_chosen_N, nats_N, 0).sum() / is_chosen_N.sum().clamp(min=1)
    total = preference + sft_weight * replies
    return Preference(total, preference.detach(), replies.detach(), margins_P.detach())


def summed(nats_N: torch.Tensor, pairs_N: torch.Tensor, is_chosen_N: torch.Tensor, pairs: int) -> torch.Tensor:
    """Nats of whole replies, (pairs, 2): chosen first. In float32 at least."""
    wide_N = nats_N.to(torch.promote_types(nats_N.dtype, torch.float32))
    places_N = 2 * pairs_N + (~is_chosen_N).to(pairs_N.dtype)
    return wide_N.new_zeros(2 * pairs).index_add(0, places_N, wide_N).view(pairs, 2)


def _check(
    nats_N: torch.Tensor,
    pairs_N: torch.Tensor,
    is_chosen_N: torch.Tensor,
    reference_nats_P2: torch.Tensor,
    beta: float,
    sft_weight: float,
) -> None:
    if nats_N.dim() != 1 or not nats_N.shape == pairs_N.shape == is_chosen_N.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (nats_N, pairs_N, is_chosen_N))
        raise ValueError(f"nats_N, pairs_N and is_chosen_N must all be (N,), not {shapes}")
    if pairs_N.dtype != torch.int64 or is_chosen_N.dtype != torch.bool:
        raise ValueError(f"pairs_N must be int64 and is_chosen_N bool, not {pairs_N.dtype} and {is_chosen_N.dtype}")
    if reference_nats_P2.dim() != 2 or reference_nats_P2.shape[1] != 2 or not len(reference_nats_P2):
        raise ValueError(f"reference_nats_P2 must be (P, 2) with P > 0, not {tuple(reference_nats_P2.shape)}")
    if len(pairs_N) and not 0 <= int(pairs_N.min()) <= int(pairs_N.max()) < len(reference_nats_P2):
        raise ValueError(f"pairs_N must be in 0..{len(reference_nats_P2) - 1}")
    if beta <= 0 or sft_weight < 0:
        raise ValueError(f"beta must be positive and sft_weight not negative, not {beta} and {sft_weight}")
