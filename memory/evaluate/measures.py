"""How good a ranking is: hits, recall and nDCG (pure)."""

import math
from collections.abc import Sequence, Set
from statistics import fmean

CUTS = (1, 5, 10)


def measures(ranked: Sequence[str], wanted: Set[str]) -> dict[str, float]:
    """For each k: ``hit@k`` (any of the wanted is there), ``recall@k`` (the share that is), ``ndcg@k``; all 0..1."""
    found: dict[str, float] = {}
    for k in CUTS:
        there = [one in wanted for one in ranked[:k]]
        found[f"hit@{k}"] = float(any(there))
        found[f"recall@{k}"] = sum(there) / len(wanted)
        best = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
        found[f"ndcg@{k}"] = sum(is_wanted / math.log2(place + 2) for place, is_wanted in enumerate(there)) / best
    return found


def mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each measure."""
    return {name: fmean(row[name] for row in rows) for name in rows[0]} if rows else {}
