"""The verdict on a hypothesis, by the rule that stood in the file before anything was run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill.lab.experiment import Condition
from distill.lab.measures import MEASURES
from distill.lab.statistics import Estimate

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"


@dataclass(frozen=True, slots=True)
class Found:
    """A condition with the difference that was measured, in the measure's own units, more being better."""

    condition: Condition
    difference: Estimate
    holds: bool | None
    """None where the interval leaves it open."""

    @property
    def text(self) -> str:
        """One line for a person."""
        measure, condition = MEASURES[self.condition.measure], self.condition
        low, value, high = (
            f"{measure.scale * number:+.{measure.digits}f}"
            for number in (self.difference.low, self.difference.value, self.difference.high)
        )
        bound = condition.at_most if condition.at_least is None else condition.at_least
        claim = f"{'at most' if condition.at_least is None else 'at least'} {measure.text(bound or 0.0)} better"
        said = {True: "holds", False: "does not hold", None: "stays open"}[self.holds]
        return (
            f"{condition.arm} against {condition.against}, {measure.label}: {value} ({low} to {high}; more is better). "
            f"That it is {claim} {said}."
        )


def decide(rule: Sequence[Condition], difference: Callable[[Condition], Estimate]) -> tuple[str, list[Found]]:
    """Supported where every condition holds for certain, refuted where one surely does not, else inconclusive.

    ``difference`` gives ``arm - against`` of a condition, more being better, with its 95 % interval.
    """
    found = [_judged(condition, difference(condition)) for condition in rule]
    if any(item.holds is False for item in found):
        return REFUTED, found
    return (SUPPORTED if all(item.holds for item in found) else INCONCLUSIVE), found


def _judged(condition: Condition, measured: Estimate) -> Found:
    low, high = measured.low, measured.high
    if condition.at_least is not None:
        holds = True if low >= condition.at_least and low > 0 else False if high < condition.at_least else None
        if condition.at_least == 0 and high <= 0:
            holds = False
        return Found(condition, measured, holds)
    bound = condition.at_most or 0.0
    return Found(condition, measured, True if high <= bound else False if low > bound else None)
