"""Attention over a packed row: every conversation sees the shared prefix and itself, never its neighbours."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

NAME = "shared_prefix"
# An attention module with this attribute keeps what it was last called with, for losses between layers.
KEPT = "kept_for_layers"


def shared_prefix_attention(
    module: torch.nn.Module,
    query_BHSD: torch.Tensor,
    key_BKSD: torch.Tensor,
    value_BKSD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    dropout: float = 0.0,
    row_lengths: Sequence[int] | None = None,
    **_unused: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each piece of a row (B = 1), over the prefix too.

    ``row_lengths`` are the lengths of the prefix and of the conversations after it; their sum is S. The pieces are
    computed one by one: for n conversations of L tokens and a prefix of P that is n*L*(P+L) instead of (P+n*L)^2 of a
    dense mask. Without ``row_lengths`` it is plain causal attention. Returns (1, S, H, D), as transformers wants it.
    """
    if hasattr(module, KEPT):
        setattr(module, KEPT, (query_BHSD, key_BKSD, value_BKSD, scaling))
    groups = query_BHSD.shape[1] // key_BKSD.shape[1]
    if groups > 1:
        key_BKSD = key_BKSD.repeat_interleave(groups, dim=1)
        value_BKSD = value_BKSD.repeat_interleave(groups, dim=1)
    if row_lengths is None:
        out = F.scaled_dot_product_attention(query_BHSD, key_BKSD, value_BKSD, scale=scaling, is_causal=True)
        return out.transpose(1, 2), None
    prefix = row_lengths[0]
    queries, keys, values = (x.split(list(row_lengths), dim=2) for x in (query_BHSD, key_BKSD, value_BKSD))
    outputs = []
    if prefix:
        outputs.append(F.scaled_dot_product_attention(queries[0], keys[0], values[0], scale=scaling, is_causal=True))
    for length, query, key, value in zip(row_lengths[1:], queries[1:], keys[1:], values[1:], strict=True):
        mask_LS = prefix_mask(prefix, length, query.dtype).to(query.device)
        out = F.scaled_dot_product_attention(
            query,
            torch.cat([keys[0], key], dim=2),
            torch.cat([values[0], value], dim=2),
            attn_mask=mask_LS,
            dropout_p=dropout,
            scale=scaling,
        )
        outputs.append(out)
    return torch.cat(outputs, dim=2).transpose(1, 2), None


def prefix_mask(prefix: int, length: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask (length, prefix + length): 0 over the prefix and, causally, over the conversation; else -inf."""
    mask_LL = torch.full((length, length), float("-inf"), dtype=dtype).triu(1)
    return torch.cat([torch.zeros(length, prefix, dtype=dtype), mask_LL], dim=1)


def register() -> None:
    """Make the attention known to transformers under NAME; the model then builds no mask of its own."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, shared_prefix_attention)
