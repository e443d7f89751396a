"""Intervals over seeds and items: a bootstrap that draws seeds, and within them items, anew."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def estimate(
    values_SN: Sequence[Sequence[float]], weights_N: Sequence[float], *, resamplings: int, seed: int
) -> Estimate:
    """The weighted mean of values [seeds, items], sum(values) / sum(weights) as in bits per byte, and its interval.

    Two-level bootstrap, percentiles: seeds are drawn with replacement, and the same drawn items serve every drawn seed
    (Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). One seed: over items alone.
    """
    import numpy as np

    v_SN, w_N = np.asarray(values_SN, dtype=np.float64), np.asarray(weights_N, dtype=np.float64)
    seeds, items = v_SN.shape
    generator = np.random.default_rng(seed)
    of_seed_RS = generator.integers(0, seeds, size=(resamplings, seeds))
    of_item_RN = generator.integers(0, items, size=(resamplings, items))
    # How often each seed and each item was drawn: the sums are then two products.
    drawn_RS = np.apply_along_axis(np.bincount, 1, of_seed_RS, minlength=seeds)
    drawn_RN = np.apply_along_axis(np.bincount, 1, of_item_RN, minlength=items)
    sums_R = np.einsum("rs,sn,rn->r", drawn_RS, v_SN, drawn_RN, optimize=True) / seeds
    low, high = np.percentile(sums_R / (drawn_RN @ w_N), [2.5, 97.5])
    return Estimate(float(v_SN.mean(axis=0).sum() / w_N.sum()), float(low), float(high))


def difference(
    arm_SN: Sequence[Sequence[float]],
    against_SN: Sequence[Sequence[float]],
    weights_N: Sequence[float],
    *,
    resamplings: int,
    seed: int,
) -> Estimate:
    """``arm - against`` in pairs of seed and item. One with a single row (the base) stands against every seed."""
    rows = max(len(arm_SN), len(against_SN))
    pairs = zip(_rows(arm_SN, rows), _rows(against_SN, rows), strict=True)
    values = [[a - b for a, b in zip(mine, its, strict=True)] for mine, its in pairs]
    return estimate(values, weights_N, resamplings=resamplings, seed=seed)


def _rows(values_SN: Sequence[Sequence[float]], rows: int) -> Sequence[Sequence[float]]:
    return list(values_SN) * rows if len(values_SN) == 1 else values_SN
