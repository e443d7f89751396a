"""Each divergence by its properties: zero at p, never negative, hand-computed, limits, gradient, numerics."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from distill.losses.events import Divergence
from distill.losses.forward_kl import forward_kl
from distill.losses.jensen_shannon import jensen_shannon
from distill.losses.response import DIVERGENCES, combine, dense_divergence, divergence_named
from distill.losses.reverse_kl import reverse_kl
from distill.losses.skew_kl import skew_forward_kl, skew_reverse_kl
from distill.losses.total_variation import total_variation

ALL = [pytest.param(divergence_named(name), id=name) for name in DIVERGENCES]


def two(rows: int = 8, events: int = 11, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    draw = torch.randn(2, rows, events, generator=made, dtype=torch.float64) * 2
    return draw[0].log_softmax(1), draw[1].log_softmax(1)


@pytest.mark.parametrize("divergence", ALL)
def test_zero_between_a_distribution_and_itself_and_positive_else(divergence: Divergence) -> None:
    p, q = two()
    torch.testing.assert_close(divergence(p, p), torch.zeros(8, dtype=torch.float64), atol=1e-15, rtol=0)
    assert (divergence(p, q) > 1e-3).all()
    wide_p, wide_q = two(rows=200, seed=1)
    assert (divergence(wide_p.float(), (wide_p + 1e-4 * wide_q).log_softmax(1).float()) > -1e-6).all()


# p = (1/2, 1/4, 1/4) and q = (1/4, 1/4, 1/2); the mixture at one half is (3/8, 1/4, 3/8).
HALF_MIXED = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3)
BY_HAND = {
    "forward_kl": 0.25 * math.log(2),
    "reverse_kl": 0.25 * math.log(2),
    "jensen_shannon": HALF_MIXED,
    # alpha = 0.1: p against (0.275, 0.25, 0.475) and, mirrored, q against (0.475, 0.25, 0.275)
    "skew_forward_kl": 0.5 * math.log(0.5 / 0.275) + 0.25 * math.log(0.25 / 0.475),
    "skew_reverse_kl": 0.25 * math.log(0.25 / 0.475) + 0.5 * math.log(0.5 / 0.275),
    "total_variation": 0.25,
}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_value_by_hand(name: str) -> None:
    p = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    q = torch.tensor([[0.25, 0.25, 0.5]], dtype=torch.float64).log()
    assert float(divergence_named(name)(p, q)) == pytest.approx(BY_HAND[name], rel=1e-12)


def test_forward_is_not_reverse() -> None:
    p = torch.tensor([[0.9, 0.1]], dtype=torch.float64).log()
    q = torch.tensor([[0.5, 0.5]], dtype=torch.float64).log()
    forward = 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    reverse = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(5)
    assert float(forward_kl(p, q)) == pytest.approx(forward)
    assert float(reverse_kl(p, q)) == pytest.approx(reverse)
    alpha = 0.3
    skewed = 0.9 * math.log(0.9 / (alpha * 0.9 + 0.7 * 0.5)) + 0.1 * math.log(0.1 / (alpha * 0.1 + 0.7 * 0.5))
    assert float(skew_forward_kl(p, q, alpha=alpha)) == pytest.approx(skewed)
    skewed = 0.5 * math.log(0.5 / (0.7 * 0.9 + alpha * 0.5)) + 0.5 * math.log(0.5 / (0.7 * 0.1 + alpha * 0.5))
    assert float(skew_reverse_kl(p, q, alpha=alpha)) == pytest.approx(skewed)


def test_parity_with_torch_kl_div() -> None:
    p, q = two()
    torch.testing.assert_close(forward_kl(p, q), F.kl_div(q, p, reduction="none", log_target=True).sum(1))
    torch.testing.assert_close(reverse_kl(p, q), F.kl_div(p, q, reduction="none", log_target=True).sum(1))


@pytest.mark.parametrize("divergence", ALL)
def test_gradient_is_that_of_finite_differences(divergence: Divergence) -> None:
    p, q = two(rows=3, events=5)
    logits = q.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: divergence(p, z.log_softmax(1)), (logits,))


def test_limits() -> None:
    p, q = two()
    small = 1e-7
    torch.testing.assert_close(jensen_shannon(p, q, beta=small) / small, forward_kl(p, q), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(jensen_shannon(p, q, beta=1 - small) / small, reverse_kl(p, q), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(skew_forward_kl(p, q, alpha=1e-9), forward_kl(p, q), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(skew_reverse_kl(p, q, alpha=1e-9), reverse_kl(p, q), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(skew_forward_kl(p, q, alpha=0), forward_kl(p, q), rtol=0, atol=0)
    torch.testing.assert_close(skew_reverse_kl(p, q, alpha=0), reverse_kl(p, q), rtol=0, atol=0)
    torch.testing.assert_close(jensen_shannon(p, q), jensen_shannon(q, p))


def test_bounds() -> None:
    p, q = two(rows=50, seed=4)
    far = torch.full((1, 4), -200.0).index_fill(1, torch.tensor([0]), 0.0).log_softmax(1)
    other = far.roll(1, dims=1)
    assert float(jensen_shannon(far, other)) == pytest.approx(math.log(2), rel=1e-5)
    assert float(skew_forward_kl(far, other, alpha=0.1)) == pytest.approx(math.log(10), rel=1e-5)
    assert float(total_variation(far, other)) == pytest.approx(1)
    assert (total_variation(p, q) <= (forward_kl(p, q) / 2).sqrt()).all()


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extreme_logits_and_zeros_stay_finite(divergence: Divergence, dtype: torch.dtype) -> None:
    teacher = torch.tensor([[1e4, -1e4, 0.0, 5.0], [-1e4, 1e4, 0.0, 5.0]], dtype=dtype)
    for start in (teacher.flip(1), teacher):
        student = start.clone().requires_grad_()
        value = dense_divergence(teacher, student, divergence)
        value.sum().backward()
        assert value.dtype == torch.float32
        assert value.isfinite().all()
        assert student.grad is not None
        assert student.grad.isfinite().all()
    zeros = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=dtype).log()
    logits = torch.tensor([[0.1, 0.2, 0.3], [-1e4, 1e4, 0.0]], dtype=dtype).requires_grad_()
    value = divergence(zeros, logits.log_softmax(1))
    value.sum().backward()
    assert value.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    torch.testing.assert_close(divergence(zeros, zeros), torch.zeros(2), atol=1e-6, rtol=0)


def test_temperature_divides_both_sides() -> None:
    p, q = two()
    direct = F.kl_div((q / 3).log_softmax(1), (p / 3).log_softmax(1), reduction="none", log_target=True).sum(1)
    torch.testing.assert_close(dense_divergence(p, q, temperature=3.0), direct)
    torch.testing.assert_close(dense_divergence(p + 7, q - 5, temperature=3.0), direct)


def test_temperature_squared_keeps_the_gradient() -> None:
    """In the limit of warm temperatures, T^2 KL has the gradient (z - v) / V of Hinton's equation 4."""
    p, q = two(rows=2)
    teacher, student = p - p.mean(1, keepdim=True), (q - q.mean(1, keepdim=True)).requires_grad_()
    warm = 1e4
    soft = dense_divergence(teacher, student, temperature=warm)
    combine(torch.zeros_like(soft), soft, temperature=warm, soft_weight=1.0).total_N.sum().backward()
    torch.testing.assert_close(student.grad, (student.detach() - teacher) / p.shape[1], rtol=1e-3, atol=1e-6)


def test_combination_and_its_components() -> None:
    hard, soft = torch.tensor([1.0, 2.0]), torch.tensor([0.25, 0.5])
    made = combine(hard, soft, temperature=2.0)
    torch.testing.assert_close(made.total_N, torch.tensor([0.5 + 0.5, 1.0 + 1.0]))
    assert made.hard_N is hard
    assert made.soft_N is soft
    weighted = combine(hard, soft, hard_weight=torch.tensor([1.0, 0.0]), soft_weight=torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(weighted.total_N, torch.tensor([1.0, 0.5]))


def test_wrong_arguments_are_one_clear_line() -> None:
    p, q = two()
    with pytest.raises(ValueError, match=r"same events, not \(8, 11\) and \(8, 10\)"):
        forward_kl(p, q[:, :10])
    with pytest.raises(ValueError, match=r"floating point, not torch\.int64"):
        reverse_kl(p, q.long())
    with pytest.raises(ValueError, match=r"beta must be in \(0, 1\), not 1"):
        jensen_shannon(p, q, beta=1)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\), not 1"):
        skew_forward_kl(p, q, alpha=1)
    with pytest.raises(ValueError, match="positive number, not 0"):
        dense_divergence(p, q, temperature=0)
    with pytest.raises(ValueError, match="choose one of forward_kl, reverse_kl"):
        divergence_named("kl")
    with pytest.raises(ValueError, match="one shape"):
        combine(torch.zeros(2), torch.zeros(3))


def test_names_pass_their_parameters_on() -> None:
    p, q = two()
    torch.testing.assert_close(divergence_named("jensen_shannon", beta=0.2)(p, q), jensen_shannon(p, q, beta=0.2))
    for name, function in (("skew_forward_kl", skew_forward_kl), ("skew_reverse_kl", skew_reverse_kl)):
        torch.testing.assert_close(divergence_named(name, alpha=0.4)(p, q), partial(function, alpha=0.4)(p, q))
