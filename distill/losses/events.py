"""Two distributions over the same events: the checks, the floor and the sums in which all divergences are written."""

from collections.abc import Callable

import torch

# Zero probability as a log-probability: exp(-3e4) is 0, products with it stay finite and gradients fit into float16.
# Logits of +-1e4 lie above it, so that their divergences are exact.
LOG_ZERO = -3e4

# (teacher_logprobs_NE, student_logprobs_NE) -> nats_N
Divergence = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def wide(values: torch.Tensor) -> torch.Tensor:
    """float32 of the narrow types, others as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def two_distributions(
    teacher_logprobs_NE: torch.Tensor, student_logprobs_NE: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both widened to one type and floored at LOG_ZERO, so that 0 * log 0 is 0 and nothing is NaN.

    Errors: ValueError unless both are floating-point matrices of one shape.
    """
    shapes = tuple(teacher_logprobs_NE.shape), tuple(student_logprobs_NE.shape)
    if shapes[0] != shapes[1] or teacher_logprobs_NE.dim() != 2:
        raise ValueError(f"teacher and student must be (N, E) over the same events, not {shapes[0]} and {shapes[1]}")
    need_floats(teacher_logprobs_NE=teacher_logprobs_NE, student_logprobs_NE=student_logprobs_NE)
    teacher, student = wide(teacher_logprobs_NE), wide(student_logprobs_NE)
    return teacher.to(student.dtype).clamp(min=LOG_ZERO), student.clamp(min=LOG_ZERO)


def need_floats(**named: torch.Tensor) -> None:
    """Errors: ValueError for the first tensor that is not floating point; logits and log-probabilities are."""
    for name, values in named.items():
        if not values.is_floating_point():
            raise ValueError(f"{name} must be floating point, not {values.dtype}")


def share_in_unit_interval(name: str, value: float, *, zero: bool) -> float:
    """The value. Errors: ValueError unless it lies in (0, 1), or in [0, 1) where ``zero`` is allowed."""
    if not (0 < value < 1 or (zero and value == 0)):
        raise ValueError(f"{name} must be in {'[' if zero else '('}0, 1), not {value}")
    return value


def positive_temperature(temperature: float) -> float:
    """The inverse temperature b = 1 / T. Errors: ValueError unless 0 < T < infinity."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be a positive number, not {temperature}")
    return 1.0 / temperature


def kl_nats(logprobs_NE: torch.Tensor, reference_NE: torch.Tensor) -> torch.Tensor:
    """KL(p || r) of floored log-probabilities, shape (N,)."""
    return (logprobs_NE.exp() * (logprobs_NE - reference_NE)).sum(dim=1)


def log1mexp(logprobs: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) for x < 0, without cancellation on either side (Mächler 2012, "Accurately computing ...")."""
    small = logprobs > -0.6931471805599453
    # Each branch gets an argument that is harmless where the other one is taken: gradients flow through both.
    near_zero = torch.log(-torch.expm1(torch.where(small, logprobs, -1.0)))
    far = torch.log1p(-torch.exp(torch.where(small, -1.0, logprobs)))
    return torch.where(small, near_zero, far)
