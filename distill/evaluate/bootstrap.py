"""Paired bootstrap: how sure a difference between two models on the same items is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """``after - before`` with its 95 % interval; ``before`` and ``after`` are the two scores over all items."""

    before: float
    after: float
    low: float
    high: float
    items: int

    @property
    def mean(self) -> float:
        return self.after - self.before

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "mean": self.mean}


def paired_difference(
    before: Sequence[float], after: Sequence[float], weights: Sequence[float], *, resamplings: int, seed: int
) -> Difference:
    """Difference of two weighted ratios, sum(values) / sum(weights), with items resampled in pairs (percentiles).

    For bits per byte: bits of each conversation and its bytes. For a plain mean: weights of 1. Efron & Tibshirani,
    An Introduction to the Bootstrap (1993), chapter 13. At least one item.
    """
    import numpy as np

    b_N, a_N, w_N = (np.asarray(values, dtype=np.float64) for values in (before, after, weights))
    generator = np.random.default_rng(seed)
    picks_RN = generator.integers(0, len(w_N), size=(resamplings, len(w_N)))
    differences_R = (a_N - b_N)[picks_RN].sum(axis=1) / w_N[picks_RN].sum(axis=1)
    low, high = np.percentile(differences_R, [2.5, 97.5])
    total = w_N.sum()
    return Difference(float(b_N.sum() / total), float(a_N.sum() / total), float(low), float(high), len(w_N))


def interval(values: Sequence[float], weights: Sequence[float], *, resamplings: int, seed: int) -> tuple[float, float]:
    """The 95 % interval of one score, sum(values) / sum(weights), by the same resampling."""
    zero = [0.0] * len(values)
    difference = paired_difference(zero, values, weights, resamplings=resamplings, seed=seed)
    return difference.low, difference.high
