"""Matching layers: a teacher model beside the student, both read on one row, and the losses between their layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distill.attention import KEPT
from distill.config import DistillConfig
from distill.layer_maps import LayerMap, layer_map
from distill.losses.attention_matrices import attention_mse
from distill.losses.hidden import hidden_cosine, hidden_l2
from distill.losses.hints import HintProjections
from distill.losses.layerwise import LayerLosses, LayerTerm, layerwise
from distill.losses.value_relation import value_relation
from memory.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Looked:
    """What one layer's attention saw of a row: queries (1, H, S, D), keys and values (1, K, S, D), and its scaling."""

    query_BHSD: torch.Tensor
    key_BKSD: torch.Tensor
    value_BKSD: torch.Tensor
    scaling: float


class LayerTeacher(torch.nn.Module):
    """A frozen model whose layers the student's layers are drawn towards; owns the hint projections (trained).

    ``student`` and ``model`` are causal language models that attend by ``distill.attention``.
    Errors: TrainingError where vocabularies, heads or layers do not fit.
    """

    def __init__(self, student: Any, model: Any, config: DistillConfig) -> None:
        super().__init__()
        ours, theirs = student.config, model.config
        if ours.vocab_size != theirs.vocab_size:
            raise TrainingError(
                f"layers can be matched on one vocabulary only: the student has {ours.vocab_size:,} tokens and "
                f"{config.layer_teacher} {theirs.vocab_size:,}; choose another layer_teacher"
            )
        if config.attention_weight and ours.num_attention_heads != theirs.num_attention_heads:
            raise TrainingError(
                f"attention_weight needs equal heads, not {ours.num_attention_heads} and {theirs.num_attention_heads}: "
                "use value_relation_weight"
            )
        try:
            self.pairs: LayerMap = layer_map(config.layer_map, ours.num_hidden_layers, theirs.num_hidden_layers)
        except ValueError as error:
            raise TrainingError(f"layer_map: {error}") from None
        self.config = config
        # Not a submodule: it is neither trained nor written into checkpoints.
        self._teacher = [model.eval().requires_grad_(False)]
        self.projections = HintProjections(self.pairs, ours.hidden_size, theirs.hidden_size, seed=config.seed)
        self._watch(student, [pair[0] for pair in self.pairs])
        self._watch(model, [pair[1] for pair in self.pairs])

    def _watch(self, model: Any, layers: Sequence[int]) -> None:
        if self.config.attention_weight or self.config.value_relation_weight:
            for layer in layers:
                setattr(model.model.layers[layer - 1].self_attn, KEPT, None)

    def losses(self, student: Any, hidden_states: Sequence[torch.Tensor], inputs: dict[str, Any]) -> LayerLosses:
        """The weighted sum over the row's maps; the student has just read the row.

        ``hidden_states`` are the student's, (1, S, H) each, index 0 the embedding.
        """
        (model,) = self._teacher
        with torch.no_grad():
            body = model.model(
                input_ids=inputs["input_ids"],
                position_ids=inputs["position_ids"],
                row_lengths=inputs["row_lengths"],
                output_hidden_states=bool(self.config.hidden_weight),
                use_cache=False,
            )
        terms: list[LayerTerm] = []
        config = self.config
        if config.hidden_weight:
            measure = hidden_cosine if config.hidden_loss == "cosine" else hidden_l2
            ours, theirs = ([state[0] for state in states] for states in (hidden_states, body.hidden_states))
            terms.append(
                LayerTerm(
                    "hidden",
                    self.pairs,
                    ours,
                    theirs,
                    measure,
                    weight=config.hidden_weight,
                    projections=self.projections,
                )
            )
        total, parts = None, {}
        if terms:
            found = layerwise(terms)
            total, parts = found.total, dict(found.parts)
        lengths = list(inputs["row_lengths"])
        for name, weight, loss in (
            ("attention", config.attention_weight, _attention),
            ("value_relation", config.value_relation_weight, _values),
        ):
            if weight:
                value = torch.stack(
                    [loss(looked(student, a), looked(model, b), lengths) for a, b in self.pairs],
                ).mean()
                parts[name] = value.detach()
                total = weight * value if total is None else total + weight * value
        assert total is not None  # noqa: S101 - it is made only where one of the weights is set
        return LayerLosses(total, parts)


def looked(model: Any, layer: int) -> Looked:
    """What the attention of a layer (from 1) kept of the last row."""
    return Looked(*getattr(model.model.layers[layer - 1].self_attn, KEPT))


def _attention(student: Looked, teacher: Looked, lengths: Sequence[int]) -> torch.Tensor:
    """Scalar: squared difference of the scores within each conversation of the row, weighted by its pairs of places."""
    found, sizes = [], []
    for part in _parts(lengths):
        ours, theirs = _scores(student, part), _scores(teacher, part)
        found.append(attention_mse(ours, theirs, _causal(ours.shape[-1], ours.device)))
        sizes.append(ours.shape[-1])
    return _mean(found, sizes)


def _values(student: Looked, teacher: Looked, lengths: Sequence[int]) -> torch.Tensor:
    """Scalar: divergence of the value relations within each conversation of the row, weighted by its length."""
    found, sizes = [], []
    for part in _parts(lengths):
        size = part.stop - part.start
        visible = _causal(size, student.value_BKSD.device)
        found.append(value_relation(student.value_BKSD[:, :, part], teacher.value_BKSD[:, :, part], visible))
        sizes.append(size)
    return _mean(found, sizes)


def _scores(side: Looked, part: slice) -> torch.Tensor:
    key_BKLD = side.key_BKSD[:, :, part]
    key_BHLD = key_BKLD.repeat_interleave(side.query_BHSD.shape[1] // key_BKLD.shape[1], dim=1)
    return side.query_BHSD[:, :, part] @ key_BHLD.transpose(2, 3) * side.scaling


def _parts(lengths: Sequence[int]) -> list[slice]:
    """The conversations of a row; the system prompt before them is not matched, the same in every row."""
    parts, start = [], lengths[0]
    for length in lengths[1:]:
        parts.append(slice(start, start + length))
        start += length
    return parts


def _causal(size: int, device: torch.device) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool, device=device).tril()


def _mean(values: Sequence[torch.Tensor], sizes: Sequence[int]) -> torch.Tensor:
    return torch.stack([value * size for value, size in zip(values, sizes, strict=True)]).sum() / sum(sizes)
