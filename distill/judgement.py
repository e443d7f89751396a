"""What the examinations say together: each side's figures, their differences, who is put forward, and the verdict."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from distill.config import DistillConfig
from distill.evaluate.bootstrap import Difference, interval, paired_difference
from distill.evaluate.overlap import bleu, bleu_interval
from distill.evaluate.style import auc, auc_interval
from distill.examination import Scores, better
from distill.gate import Verdict, verdict_on

CHAMPION, CANDIDATE, TWIN = "champion", "candidate", "twin"
# Each sample is a whole BLEU; the interval's ends move by a tenth of its width beyond this.
BLEU_RESAMPLINGS = 200


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of one side with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """``differences`` are by pair of sides, later minus earlier: ("champion", "candidate") and so on, then by figure.

    ``chosen`` is the student that stood before the gate: ``candidate``, or ``twin`` where hard labels did better.
    """

    scores: Mapping[str, Scores]
    figures: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[tuple[str, str], Mapping[str, Difference]]
    chosen: str
    verdict: Verdict


def _passes(scores: Scores) -> list[float]:
    return [float(probability > 0.5) for probability in scores.style]


def _right(scores: Scores) -> list[float]:
    return [float(right) for right in scores.general_right]


def _held(scores: Scores) -> list[float]:
    return [right for right, held in zip(scores.facts, scores.facts_held, strict=True) if held]


# Means over items; each value of the first two is weighted by its bytes.
MEANS: Mapping[str, Callable[[Scores], Sequence[float]]] = {
    "heldout": lambda scores: scores.heldout_bits,
    "heldout_short": lambda scores: scores.heldout_short_bits,
    "general": lambda scores: scores.general,
    "general_right": _right,
    "facts": lambda scores: scores.facts,
    "facts_held": _held,
    "facts_alone": lambda scores: scores.facts_alone,
    "passes": _passes,
    "chrf": lambda scores: scores.chrf,
    "token_f1": lambda scores: scores.token_f1,
    "loops": lambda scores: scores.loops,
    "refuses": lambda scores: scores.refuses,
    "empty": lambda scores: scores.empty,
    "echoes": lambda scores: scores.echoes,
    "mistakes": lambda scores: scores.mistakes,
}


def conclude(scores: Mapping[str, Scores], config: DistillConfig) -> Judgement:
    """The judgement over ``champion``, ``candidate`` and, where one was trained, its hard-label ``twin``.

    Of the two students the one with the better held-out text goes before the gate, against the champion.
    """
    students = [name for name in (CANDIDATE, TWIN) if name in scores]
    pairs = [(CHAMPION, name) for name in students] + ([(TWIN, CANDIDATE)] if TWIN in scores else [])
    differences = {pair: compare(scores[pair[0]], scores[pair[1]], config) for pair in pairs}
    chosen = better(scores, students)
    verdict = verdict_on(scores[chosen], differences[CHAMPION, chosen], config)
    figures = {name: figures_of(found, config) for name, found in scores.items()}
    return Judgement(scores, figures, differences, chosen, verdict)


def compare(before: Scores, after: Scores, config: DistillConfig) -> dict[str, Difference]:
    """``after - before`` of each mean that both have, on the same items, in pairs."""
    found = {}
    for name, values_of in MEANS.items():
        first, second = values_of(before), values_of(after)
        if first and second:
            found[name] = paired_difference(
                first, second, _weights(name, after), resamplings=config.bootstrap, seed=config.seed
            )
    return found


def figures_of(scores: Scores, config: DistillConfig) -> dict[str, Estimate]:
    """Everything that can be said of one side with an interval; what was not measured is left out."""
    settings = {"resamplings": config.bootstrap, "seed": config.seed}
    found = {}
    for name, values_of in MEANS.items():
        if values := values_of(scores):
            weights = _weights(name, scores)
            found[name] = Estimate(math.fsum(values) / math.fsum(weights), *interval(values, weights, **settings))
    if scores.style:
        ends = auc_interval(scores.teacher_style, scores.style, **settings)
        found["auc"] = Estimate(auc(scores.teacher_style, scores.style), *ends)
        his = [float(probability > 0.5) for probability in scores.teacher_style]
        found["teacher_passes"] = Estimate(sum(his) / len(his), *interval(his, [1.0] * len(his), **settings))
    if scores.replies:
        ends = bleu_interval(scores.replies, scores.references, resamplings=BLEU_RESAMPLINGS, seed=config.seed)
        found["bleu"] = Estimate(bleu(scores.replies, scores.references), *ends)
    return found


def _weights(name: str, scores: Scores) -> list[float]:
    if name in ("heldout", "heldout_short"):
        return [float(size) for size in scores.heldout_bytes]
    return [1.0] * len(MEANS[name](scores))
