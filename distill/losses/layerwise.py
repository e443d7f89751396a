"""Layerwise distillation: several layer maps at once, each with its own loss, projections and weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from distill.layer_maps import LayerMap
from distill.losses.hints import HintProjections

# (student, teacher) -> nats_N or a scalar
PairLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class LayerTerm:
    """One map: a name to log, the pairs (student layer, teacher layer), the states both index, and their loss.

    States are hidden states (N, D), attention matrices or values; index 0 belongs to what lies before layer 1, so pass
    transformers' ``hidden_states`` as they are and put None before attention. ``pair_weights`` are relative, default
    equal; ``projections`` are for hidden states of different widths.
    """

    name: str
    pairs: LayerMap
    student_states: Sequence[torch.Tensor | None]
    teacher_states: Sequence[torch.Tensor | None]
    loss: PairLoss
    weight: float = 1.0
    pair_weights: Sequence[float] | None = None
    projections: HintProjections | None = None


@dataclass(frozen=True, slots=True)
class LayerLosses:
    """Scalars: the weighted sum, and each term by its name before its weight."""

    total: torch.Tensor
    parts: dict[str, torch.Tensor]


def layerwise(terms: Sequence[LayerTerm]) -> LayerLosses:
    """Sum over terms of weight * the weighted mean over its pairs of the mean loss.

    Errors: ValueError without terms, for names used twice, layers that are not there, or weights that do not fit.
    Source: Sun et al. 2019, "Patient knowledge distillation", arXiv 1908.09355; Jiao et al., arXiv 1909.10351, eq. 11.
    """
    if not terms or len({term.name for term in terms}) != len(terms):
        raise ValueError(f"layerwise needs terms with different names, not {[term.name for term in terms]}")
    parts = {term.name: _term_loss(term) for term in terms}
    total = torch.stack([term.weight * parts[term.name] for term in terms]).sum()
    return LayerLosses(total, {name: part.detach() for name, part in parts.items()})


def _term_loss(term: LayerTerm) -> torch.Tensor:
    weights = [1.0] * len(term.pairs) if term.pair_weights is None else list(term.pair_weights)
    if not term.pairs or len(weights) != len(term.pairs) or min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"{term.name}: {len(term.pairs)} pairs of layers need as many weights, not {weights}")
    losses = []
    for pair in term.pairs:
        student, teacher = _layer(term, "student", pair[0]), _layer(term, "teacher", pair[1]).detach()
        if term.projections is not None:
            student = term.projections(student, pair)
        losses.append(term.loss(student, teacher).mean())
    return torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum() / sum(weights)


def _layer(term: LayerTerm, side: str, layer: int) -> torch.Tensor:
    states = term.student_states if side == "student" else term.teacher_states
    state = states[layer] if 0 <= layer < len(states) else None
    if state is None:
        raise ValueError(f"{term.name}: the {side} has no states of layer {layer} ({len(states)} given, from 0)")
    return state
