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


class Scores:
    """The measures of each question by weights; each setting is scored once, whoever of the left out asks for it."""

    def __init__(self, asked: Sequence[Asked], on_setting: Callable[[], None] = lambda: None) -> None:
        self.asked = asked
        self._on_setting = on_setting
        self._rows: dict[Weights, list[dict[str, float]]] = {}

    def rows(self, weights: Weights) -> list[dict[str, float]]:
        """One row a question, in their order."""
        if weights not in self._rows:
            self._rows[weights] = [score(one, weights) for one in self.asked]
            self._on_setting()
        return self._rows[weights]

    def aim(self, weights: Weights, left_out: str) -> float:
        """The mean of AIMS over all conversations but one, added up."""
        rows = [row for one, row in zip(self.asked, self.rows(weights), strict=True) if one.haystack != left_out]
        found = mean(rows)
        return sum(found.get(name, 0.0) for name in AIMS)


def fit(scores: Scores, weights: Weights, left_out: str = "") -> Weights:
    """The weights with the best mean of AIMS, found one weight at a time, in ROUNDS over all of them."""
    best = scores.aim(weights, left_out)
    for _ in range(ROUNDS):
        for name, values in GRID.items():
            for value in values:
                tried = replace(weights, **{name: value})
                if tried != weights and (reached := scores.aim(tried, left_out)) > best:
                    weights, best = tried, reached
    return weights


def leave_one_out(
    asked: Sequence[Asked], weights: Weights, on_setting: Callable[[], None] = lambda: None
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Mean measures, each conversation by weights fitted on the others; and these weights by the one left out.

    Under "nothing" are the weights fitted on all of them.
    """
    scores = Scores(asked, on_setting)
    rows: list[dict[str, float]] = []
    fitted: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(one.haystack for one in asked):
        theirs = fit(scores, weights, name)
        fitted[name] = asdict(theirs)
        rows += [row for one, row in zip(asked, scores.rows(theirs), strict=True) if one.haystack == name]
    fitted["nothing"] = asdict(fit(scores, weights))
    return mean(rows), fitted
