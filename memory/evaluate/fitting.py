"""Fits recall's few weights on some conversations and measures them on the one left out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from memory.evaluate.asking import Asked, score
from memory.evaluate.measures import mean
from memory.recall.rank import Weights

GRID: dict[str, tuple[float, ...]] = {
    "vector": (0.25, 0.5, 0.8, 1.2),
    "around": (0.15, 0.3, 0.5),
    "conversation": (0.25, 0.5, 0.8),
    "days": (0.5, 1.0, 2.0),
}
AIMS = ("session hit@1", "session recall@5", "session recall@10", "turn hit@10")
ROUNDS = 2


def fit(asked: Sequence[Asked], weights: Weights, on_step: Callable[[], None] = lambda: None) -> Weights:
    """The weights with the best mean of AIMS, found one weight at a time, in ROUNDS over all of them."""
    best = _aim(asked, weights)
    for _ in range(ROUNDS):
        for name, values in GRID.items():
            for value in values:
                tried = replace(weights, **{name: value})
                if tried != weights and (reached := _aim(asked, tried)) > best:
                    weights, best = tried, reached
            on_step()
    return weights


def leave_one_out(
    asked: Sequence[Asked], weights: Weights, on_step: Callable[[], None] = lambda: None
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Mean measures, each conversation by weights fitted on the others; and these weights by the one left out."""
    rows: list[dict[str, float]] = []
    fitted: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(one.haystack for one in asked):
        theirs = fit([one for one in asked if one.haystack != name], weights, on_step)
        fitted[name] = asdict(theirs)
        rows += [score(one, theirs) for one in asked if one.haystack == name]
    return mean(rows), fitted


def _aim(asked: Sequence[Asked], weights: Weights) -> float:
    found = mean([score(one, weights) for one in asked])
    return sum(found.get(name, 0.0) for name in AIMS)
