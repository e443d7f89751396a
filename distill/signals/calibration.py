"""How far a teacher can be believed: its confidence in its first choice against how often that is the label.

Source: Guo, Pleiss, Sun, Weinberger 2017, "On calibration of modern neural networks", arXiv 1706.04599 (expected
calibration error); bins of equal mass, since most of a language model's tokens are nearly certain.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from distill.signals.record import Signal

BINS = 15
RESAMPLINGS = 1000
SEED = 17


@dataclass(frozen=True, slots=True)
class Calibration:
    """Over the label tokens of some replies: mean confidence, accuracy and expected calibration error, all shares.

    ``gap_low`` and ``gap_high`` are the 95 % bootstrap interval (over replies) of confidence minus accuracy.
    """

    tokens: int
    confidence: float
    accuracy: float
    error: float
    gap_low: float
    gap_high: float

    @property
    def overconfident(self) -> bool:
        """The whole interval says that it is surer than it is right."""
        return self.gap_low > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return {**asdict(self), "overconfident": self.overconfident}

    def text(self) -> str:
        """One line for a person."""
        verdict = "overconfident" if self.overconfident else "not overconfident"
        return (
            f"{verdict}: {self.confidence:.1%} sure of its first choice, right in {self.accuracy:.1%} of "
            f"{self.tokens:,} tokens; expected calibration error {self.error:.3f}"
        )


def calibration_of(signals: Sequence[Signal]) -> Calibration:
    """The calibration of the teacher that gave these signals. Errors: ValueError where none holds a top-k."""
    known = [one for one in signals if one.k and len(one)]
    if not known:
        raise ValueError("calibration needs signals with a top-k")
    confidences = [np.exp(one.logprobs_NK[:, 0].astype(np.float64)) for one in known]
    hits = [(one.ids_NK[:, 0] == one.labels_N).astype(np.float64) for one in known]
    confidence_N, hit_N = np.concatenate(confidences), np.concatenate(hits)
    low, high = _gap_interval([c.sum() - h.sum() for c, h in zip(confidences, hits, strict=True)], confidences)
    return Calibration(
        tokens=len(hit_N),
        confidence=float(confidence_N.mean()),
        accuracy=float(hit_N.mean()),
        error=expected_calibration_error(confidence_N, hit_N),
        gap_low=low,
        gap_high=high,
    )


def expected_calibration_error(confidence_N: np.ndarray, hit_N: np.ndarray, bins: int = BINS) -> float:
    """Mean distance of confidence and accuracy over ``bins`` bins of equal mass, each weighted by its share."""
    order_N = np.argsort(confidence_N, kind="stable")
    parts = [part for part in np.array_split(order_N, bins) if len(part)]
    gaps = [len(part) * abs(confidence_N[part].mean() - hit_N[part].mean()) for part in parts]
    return float(sum(gaps) / len(order_N))


def _gap_interval(gaps: Sequence[float], of: Sequence[np.ndarray]) -> tuple[float, float]:
    """95 % percentile interval of the gap a token, drawing replies: the tokens of one stand and fall together."""
    gap_R, tokens_R = np.asarray(gaps, np.float64), np.asarray([len(one) for one in of], np.float64)
    generator = np.random.default_rng(SEED)
    draws = (generator.integers(0, len(gap_R), len(gap_R)) for _ in range(RESAMPLINGS))
    low, high = np.percentile([gap_R[drawn].sum() / tokens_R[drawn].sum() for drawn in draws], [2.5, 97.5])
    return float(low), float(high)
