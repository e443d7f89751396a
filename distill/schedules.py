"""Schedules of the distillation temperature: constant, or annealed from warm to cold over the training.

Warm targets first show which tokens are alike, cold ones then how sure the teacher is. Source: Jafari et al. 2021,
"Annealing knowledge distillation", arXiv 2104.07163; the linear and cosine curves are those of learning-rate schedules.
Stored soft targets must cover the range: see ``losses.soft_targets``.
"""

import math
from collections.abc import Callable

SCHEDULES = ("constant", "linear", "cosine")


def constant(_share: float) -> float:
    """All of the way stays warm: 1 at any share of the training."""
    return 1.0


def linear(share: float) -> float:
    """What is left of the warmth, from 1 to 0 in equal steps."""
    return 1.0 - share


def cosine(share: float) -> float:
    """What is left of the warmth, from 1 to 0, slowly at both ends."""
    return 0.5 * (1.0 + math.cos(math.pi * share))


def temperature_at(step: int, steps: int, *, schedule: str = "linear", start: float = 5.0, end: float = 1.0) -> float:
    """The temperature of a step (0 to steps - 1): ``start`` at the first and ``end`` at the last, between them by name.

    "constant" stays at ``start``. Steps past the last keep the last value, so that a resumed run may overrun.
    Errors: ValueError for an unknown schedule, temperatures not above 0, or a negative step.
    """
    curves: dict[str, Callable[[float], float]] = {"constant": constant, "linear": linear, "cosine": cosine}
    if schedule not in curves:
        raise ValueError(f"no schedule is called {schedule!r}; choose one of {', '.join(SCHEDULES)}")
    if not (0 < start < math.inf and 0 < end < math.inf):
        raise ValueError(f"temperatures must be positive numbers, not {start} and {end}")
    if step < 0 or steps < 1:
        raise ValueError(f"step {step} of {steps} does not exist: count from 0")
    share = min(step / (steps - 1), 1.0) if steps > 1 else 0.0
    return end + (start - end) * curves[schedule](share)
