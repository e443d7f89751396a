"""Soft targets kept sparsely: the teacher's top-k and a few log-partitions, from which any temperature between follows.

With p the teacher at temperature 1 and b = 1 / T, the teacher at T is p_T(i) = p(i)^b / sum_j p(j)^b, so

    log p_T(i) = b * log p(i) - M(b),    M(b) = log sum_j p(j)^b = A(b) - b * A(1),
    A(b) = log sum_j exp(b * logit(j)).

``log_partition_NB`` holds M, not A: M(1) = 0 is known without being stored, and logits need no common offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

import torch

from distill.losses.events import log1mexp, need_floats, positive_temperature, wide


@dataclass(frozen=True, slots=True)
class SparseLogProbs:
    """A teacher at one temperature: ``ids_NK``, distinct in a row, ``logprobs_NK``, ``tail_logprob_N`` of the rest."""

    ids_NK: torch.Tensor
    logprobs_NK: torch.Tensor
    tail_logprob_N: torch.Tensor

    def __post_init__(self) -> None:
        _need_topk(self.ids_NK, self.logprobs_NK)
        if self.tail_logprob_N.shape != self.ids_NK.shape[:1]:
            raise ValueError(f"tail_logprob_N must be ({len(self.ids_NK)},), not {tuple(self.tail_logprob_N.shape)}")

    def rows(self, rows: slice) -> "SparseLogProbs":
        """The same of some positions."""
        return SparseLogProbs(self.ids_NK[rows], self.logprobs_NK[rows], self.tail_logprob_N[rows])

    def need_vocabulary(self, vocabulary: int) -> None:
        """Errors: ValueError where a token of the teacher is none of the student's (another vocabulary, or padding)."""
        if self.ids_NK.numel() and not 0 <= int(self.ids_NK.min()) <= int(self.ids_NK.max()) < vocabulary:
            found = f"{int(self.ids_NK.min())}..{int(self.ids_NK.max())}"
            raise ValueError(
                f"the teacher's tokens {found} are not all in the student's 0..{vocabulary - 1}: "
                "soft targets need one vocabulary, else use likelihood_matching"
            )

    def events(self, vocabulary: int) -> torch.Tensor:
        """Log-probabilities of the top-k and of the tail as one bucket; no bucket where the top-k is everything."""
        if self.ids_NK.shape[1] >= vocabulary:
            return self.logprobs_NK
        return torch.cat([self.logprobs_NK, self.tail_logprob_N[:, None]], dim=1)


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """What a teacher says at N positions, at temperature 1, and what is needed to warm it up.

    ``ids_NK`` int64, ``logprobs_NK`` their log-probabilities; ``log_partition_NB`` M(1/T) (see the module) at each of
    ``temperatures_B``, which may be empty: then it teaches at T = 1 alone. ``label_logprob_N`` is the teacher's
    log-probability of the label, wherever it ranks. Errors: ValueError where the shapes disagree.
    """

    ids_NK: torch.Tensor
    logprobs_NK: torch.Tensor
    log_partition_NB: torch.Tensor
    temperatures_B: tuple[float, ...]
    label_logprob_N: torch.Tensor

    def __post_init__(self) -> None:
        _need_topk(self.ids_NK, self.logprobs_NK)
        need_floats(log_partition_NB=self.log_partition_NB, label_logprob_N=self.label_logprob_N)
        positions = len(self.ids_NK)
        if tuple(self.log_partition_NB.shape) != (positions, len(self.temperatures_B)):
            raise ValueError(
                f"log_partition_NB must be ({positions}, {len(self.temperatures_B)}), a column for each temperature, "
                f"not {tuple(self.log_partition_NB.shape)}"
            )
        if tuple(self.label_logprob_N.shape) != (positions,):
            raise ValueError(f"label_logprob_N must be ({positions},), not {tuple(self.label_logprob_N.shape)}")
        for temperature in self.temperatures_B:
            positive_temperature(temperature)

    def __len__(self) -> int:
        return len(self.ids_NK)

    def rows(self, rows: slice | torch.Tensor) -> "SoftTargets":
        """The same of some positions (a slice, indices or a mask)."""
        return SoftTargets(
            self.ids_NK[rows],
            self.logprobs_NK[rows],
            self.log_partition_NB[rows],
            self.temperatures_B,
            self.label_logprob_N[rows],
        )

    def to(self, device: torch.device | str) -> "SoftTargets":
        """The same on another device."""
        tensors = (t.to(device) for t in (self.ids_NK, self.logprobs_NK, self.log_partition_NB, self.label_logprob_N))
        ids_NK, logprobs_NK, log_partition_NB, label_logprob_N = tensors
        return SoftTargets(ids_NK, logprobs_NK, log_partition_NB, self.temperatures_B, label_logprob_N)

    def at(self, temperature: float) -> SparseLogProbs:
        """The teacher at a temperature: exact at 1 and at the stored ones, interpolated between two neighbours.

        Between b0 < b < b1 only the tail is interpolated: the top-k's part of M(b) is known at every b. The logarithm
        of the tail's part, R(b) = log sum over the tail of p^b, is convex in b with the second derivative
        Var_b(log p) over the tail, so its chord lies above it by at most (b1 - b0)^2 / 8 * max Var; M(b) errs by that
        times the tail's share at b. Errors: ValueError outside the stored range.
        """
        b = positive_temperature(temperature)
        scaled_NK = b * wide(self.logprobs_NK)
        topk_N = scaled_NK.logsumexp(dim=1)
        stored = next((i for i, t in enumerate(self.temperatures_B) if isclose(t, temperature, rel_tol=1e-6)), None)
        if stored is not None or isclose(temperature, 1, rel_tol=1e-6):
            partition_N = torch.zeros_like(topk_N) if stored is None else wide(self.log_partition_NB[:, stored])
            tail_N = partition_N + _tail_share(topk_N - partition_N)
        else:
            tail_N = self._interpolated_tail(b)
        # Where rounding lets the stored top-k exceed one, this makes the whole one again; else it changes nothing.
        partition_N = torch.logaddexp(topk_N, tail_N)
        return SparseLogProbs(self.ids_NK, scaled_NK - partition_N[:, None], tail_N - partition_N)

    def _interpolated_tail(self, b: float) -> torch.Tensor:
        """R(b) on the chord between the stored neighbours of b."""
        knots: dict[float, torch.Tensor | None] = {1.0: None}
        knots |= {1 / t: wide(self.log_partition_NB[:, i]) for i, t in enumerate(self.temperatures_B)}
        below, above = max((k for k in knots if k < b), default=None), min((k for k in knots if k > b), default=None)
        if below is None or above is None:
            known = ", ".join(f"{1 / k:g}" for k in sorted(knots, reverse=True))
            raise ValueError(f"temperature {1 / b:g} is outside the stored ones ({known}); score the teacher there too")
        ends = []
        for knot in (below, above):
            topk_N = (knot * wide(self.logprobs_NK)).logsumexp(dim=1)
            stored_N = knots[knot]
            partition_N = torch.zeros_like(topk_N) if stored_N is None else stored_N
            ends.append(partition_N + _tail_share(topk_N - partition_N))
        share = (b - below) / (above - below)
        return torch.lerp(ends[0], ends[1], share)


def soft_targets(
    logits_NV: torch.Tensor, labels_N: torch.Tensor, *, k: int = 32, temperatures: Sequence[float] = (1.5, 2, 3, 5)
) -> SoftTargets:
    """The sparse form of a teacher's logits. Errors: ValueError unless 1 <= k <= V."""
    need_floats(logits_NV=logits_NV)
    if logits_NV.dim() != 2 or not 1 <= k <= logits_NV.shape[1]:
        raise ValueError(f"logits_NV must be a matrix with at least k = {k} >= 1 columns, not {tuple(logits_NV.shape)}")
    logprobs_NV = wide(logits_NV).log_softmax(dim=1)
    logprobs_NK, ids_NK = logprobs_NV.topk(k, dim=1)
    partitions = [(positive_temperature(t) * logprobs_NV).logsumexp(dim=1) for t in temperatures]
    empty_N0 = logprobs_NV.new_empty(len(logprobs_NV), 0)
    return SoftTargets(
        ids_NK,
        logprobs_NK,
        torch.stack(partitions, dim=1) if partitions else empty_N0,
        tuple(float(t) for t in temperatures),
        logprobs_NV.gather(1, labels_N[:, None])[:, 0],
    )


def _tail_share(topk_share_N: torch.Tensor) -> torch.Tensor:
    """log(1 - share of the top-k): at least one unit of rounding, as no tail is truly empty."""
    return log1mexp(topk_share_N.clamp(max=-torch.finfo(topk_share_N.dtype).eps))


def _need_topk(ids_NK: torch.Tensor, logprobs_NK: torch.Tensor) -> None:
    if ids_NK.dim() != 2 or ids_NK.shape != logprobs_NK.shape or ids_NK.shape[1] == 0:
        shapes = f"{tuple(ids_NK.shape)} and {tuple(logprobs_NK.shape)}"
        raise ValueError(f"ids_NK and logprobs_NK must be (N, K) with K >= 1, not {shapes}")
    if ids_NK.dtype != torch.int64:
        raise ValueError(f"ids_NK must be int64, not {ids_NK.dtype}")
    need_floats(logprobs_NK=logprobs_NK)
