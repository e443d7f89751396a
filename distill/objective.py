"""The loss of one row over its labels: hard, soft, anchor, likelihood of pieces and rationale, each by its weight."""

from dataclasses import dataclass, field

import torch

from distill.config import DistillConfig
from distill.losses.byte_alignment import Alignment
from distill.losses.confidence import Weights, smooth_weights, threshold_weights
from distill.losses.divergences import divergence_named
from distill.losses.fused import fused_distillation
from distill.losses.likelihood_matching import likelihood_matching, piece_logprobs
from distill.losses.soft_targets import SoftTargets
from distill.losses.soft_terms import SoftTerm
from distill.losses.two_task import two_task
from distill.schedules import temperature_at


@dataclass(frozen=True, slots=True)
class Soft:
    """Soft targets at the N label positions of a row; ``known_N`` (bool) is false where the teacher was not asked."""

    targets: SoftTargets
    known_N: torch.Tensor


@dataclass(frozen=True, slots=True)
class Pieces:
    """A teacher of another vocabulary on a row.

    ``student_N`` is the piece of each label position (-1: in none), ``teacher_logprobs_X`` the teacher's log-likelihood
    of each of the X pieces.
    """

    student_N: torch.Tensor
    teacher_logprobs_X: torch.Tensor

    @classmethod
    def join(cls, parts: list[tuple[Alignment, torch.Tensor]]) -> "Pieces":
        """One row's pieces from those of its replies: (alignment, the teacher's log-probabilities of its tokens)."""
        student: list[int] = []
        teacher: list[torch.Tensor] = []
        offset = 0
        for alignment, logprobs_M in parts:
            student.extend(piece + offset if piece >= 0 else -1 for piece in alignment.student_pieces)
            pieces_M = torch.tensor(alignment.teacher_pieces, dtype=torch.int64)
            teacher.append(piece_logprobs(logprobs_M, pieces_M, alignment.pieces))
            offset += alignment.pieces
        joined = torch.cat(teacher) if teacher else torch.zeros(0)
        return cls(torch.tensor(student, dtype=torch.int64), joined)


@dataclass(frozen=True, slots=True)
class RowSignals:
    """What teachers say of a row; every field None is learning from the replies alone."""

    soft: Soft | None = None
    anchor: Soft | None = None
    pieces: Pieces | None = None
    is_rationale_N: torch.Tensor | None = None


@dataclass(slots=True)
class RowLoss:
    """``total`` carries the gradient; ``parts`` are the components before their weights, in nats, to log.

    ``label_nats_N`` is the cross-entropy at each label position, without a gradient.
    """

    total: torch.Tensor
    label_nats_N: torch.Tensor
    parts: dict[str, float] = field(default_factory=dict)


def row_loss(
    hidden_NH: torch.Tensor,
    head_VH: torch.Tensor,
    labels_N: torch.Tensor,
    signals: RowSignals,
    config: DistillConfig,
    *,
    step: int,
    steps: int,
) -> RowLoss:
    """a * CE + b * T^2 * D(teacher_T || student_T) + the anchor, + w * likelihood matching, + lambda * explain.

    Means over the row's label positions; a position that the soft teacher was not asked about is learnt by its hard
    label with full weight. Source of the first two terms: Hinton et al. 2015, arXiv 1503.02531.
    """
    terms, weights, names = _terms(signals, config, step, steps)
    if signals.pieces is not None:
        return _across_vocabularies(hidden_NH, head_VH, labels_N, signals.pieces, config)
    fused = fused_distillation(hidden_NH, head_VH, labels_N, terms, hard_weight=weights.hard_N)
    hard_N = fused.hard_N.detach()
    parts = {"hard": float(hard_N.mean())}
    parts |= {name: float(part_N.mean()) for name, part_N in zip(names, fused.soft_MN, strict=True)}
    if signals.is_rationale_N is None:
        return RowLoss(fused.total_N.mean(), hard_N, parts)
    tasks = two_task(fused.total_N, signals.is_rationale_N, explain_weight=config.explain_weight)
    parts |= {"predict": float(tasks.predict), "explain": float(tasks.explain)}
    return RowLoss(tasks.total, hard_N, parts)


def _across_vocabularies(
    hidden_NH: torch.Tensor, head_VH: torch.Tensor, labels_N: torch.Tensor, pieces: Pieces, config: DistillConfig
) -> RowLoss:
    """Hard labels and the likelihood of byte-aligned pieces, from one pass over the head."""
    nats_N = fused_distillation(hidden_NH, head_VH, labels_N, hard_weight=1.0).total_N
    count = len(pieces.teacher_logprobs_X)
    matched_X = likelihood_matching(
        pieces.teacher_logprobs_X,
        piece_logprobs(-nats_N, pieces.student_N, count),
        temperature=config.likelihood_temperature,
    )
    # Times T: the loss has a limit for large T, so that a weight means the same at any T.
    matched = config.likelihood_temperature * matched_X.sum() / max(1, count)
    hard = nats_N.mean()
    total = config.hard_weight * hard + config.likelihood_weight * matched
    return RowLoss(total, nats_N.detach(), {"hard": float(hard), "likelihood": float(matched)})


def _terms(
    signals: RowSignals, config: DistillConfig, step: int, steps: int
) -> tuple[list[SoftTerm], Weights, list[str]]:
    """The soft terms of a row with their names, and the weights of the hard loss and of the first of them."""
    weights = Weights(torch.tensor(config.hard_weight), torch.tensor(config.soft_weight))
    terms: list[SoftTerm] = []
    names: list[str] = []
    if signals.soft is not None:
        targets, known_N = signals.soft.targets, signals.soft.known_N
        weights = _confidence(targets, config)
        hard_N = torch.where(known_N, weights.hard_N, 1.0)
        soft_N = torch.where(known_N, weights.soft_N, 0.0)
        weights = Weights(hard_N, soft_N)
        temperature = temperature_at(
            step,
            steps,
            schedule=config.temperature_schedule,
            start=config.temperature,
            end=config.temperature_end,
        )
        terms.append(SoftTerm(targets, divergence_named(config.divergence, config.skew), temperature, soft_N))
        names.append("soft")
    if signals.anchor is not None:
        weight_N = torch.where(signals.anchor.known_N, config.anchor_weight, 0.0)
        terms.append(SoftTerm(signals.anchor.targets, weight=weight_N))
        names.append("anchor")
    return terms, weights, names


def _confidence(targets: SoftTargets, config: DistillConfig) -> Weights:
    settings = {
        "hard": config.hard_weight,
        "soft": config.soft_weight,
        "threshold": config.confidence_threshold,
        "boost": config.confidence_boost,
    }
    if config.confidence == "threshold":
        return threshold_weights(targets.label_logprob_N, **settings)
    if config.confidence == "smooth":
        return smooth_weights(targets.label_logprob_N, **settings)
    positions = len(targets)
    return Weights(torch.full((positions,), config.hard_weight), torch.full((positions,), config.soft_weight))
