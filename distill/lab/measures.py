"""What an experiment compares arms by: values an item with their weights, and whether more of it is better."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill.examination import Scores

Values = Callable[["Scores"], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A weighted mean over items, the same items for every arm; ``scale`` and ``digits`` are for writing it."""

    label: str
    values: Values
    weights: Values
    more_is_better: bool
    scale: float = 1.0
    digits: int = 3

    def text(self, value: float) -> str:
        """The value as it is written in a table."""
        return f"{self.scale * value:.{self.digits}f}"


def _even(values: Values) -> Values:
    return lambda scores: [1.0] * len(values(scores))


def _mean(label: str, values: Values, *, more_is_better: bool = True, scale: float = 100, digits: int = 1) -> Measure:
    return Measure(label, values, _even(values), more_is_better, scale, digits)


def _passes(scores: "Scores") -> list[float]:
    return [float(probability > 0.5) for probability in scores.style]


def _wavering(scores: "Scores") -> list[float]:
    """How far each reply's style lies from what is usual for this arm: small where the voice is one."""
    if not scores.style:
        return []
    middle = statistics.median(scores.style)
    return [abs(probability - middle) for probability in scores.style]


def _bytes(scores: "Scores") -> list[float]:
    return [float(size) for size in scores.heldout_bytes]


MEASURES: Mapping[str, Measure] = {
    "heldout": Measure("held-out bits per byte, identity as prompt", lambda s: s.heldout_bits, _bytes, False),
    "heldout_short": Measure("held-out bits per byte, short prompt", lambda s: s.heldout_short_bits, _bytes, False),
    "style": _mean("style: probability that a reply is the teacher's, %", lambda s: s.style),
    "passes": _mean("style: replies that pass for the teacher's, %", _passes, digits=0),
    "wavering": _mean("style: distance of a reply from the arm's usual one, %", _wavering, more_is_better=False),
    "general": _mean("general questions, probability of the right answer, %", lambda s: s.general),
    "accuracy": _mean("questions answered right, %", lambda s: [float(right) for right in s.general_right]),
    "facts": _mean("facts with recall, right, %", lambda s: s.facts),
    "facts_alone": _mean("facts without recall, right, %", lambda s: s.facts_alone),
    "chrf": _mean("chrF against the logged replies", lambda s: s.chrf, scale=1),
    "token_f1": _mean("token F1 against the logged replies, %", lambda s: s.token_f1),
}
