"""Across tokenisers: pieces of real tokenisations, their likelihoods, and the divergence of two coins."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.losses.byte_alignment import OUTSIDE, align
from distill.losses.events import Divergence
from distill.losses.likelihood_matching import likelihood_matching, piece_logprobs
from distill.losses.response import DIVERGENCES, divergence_named

ALL = [pytest.param(divergence_named(name), id=name) for name in DIVERGENCES]


def test_pieces_by_hand() -> None:
    """ "Hello world!": Hel|lo| wor|ld|! against Hello| world|!."""
    made = align([3, 5, 9, 11, 12], [5, 11, 12])
    assert made.teacher_pieces == (0, 0, 1, 1, 2)
    assert made.student_pieces == (0, 1, 2)
    assert made.pieces == 3


def test_control_tokens_prompts_and_cut_ends_are_outside() -> None:
    made = align([0, 3, 5, 5, 9], [2, 3, 5, 9, 9])
    assert made.teacher_pieces == (OUTSIDE, 0, 1, OUTSIDE, 2)
    assert made.student_pieces == (0, 0, 1, 2, OUTSIDE)
    reply = align([3, 5, 8], [2, 5, 8], start=3)
    assert reply.teacher_pieces == (OUTSIDE, OUTSIDE, 0)
    assert reply.student_pieces == (OUTSIDE, OUTSIDE, 0)
    cut = align([3, 5, 8], [3, 4])
    assert cut.teacher_pieces == (0, OUTSIDE, OUTSIDE)
    assert cut.student_pieces == (0, OUTSIDE)
    assert align([3], [4]).pieces == 0
    assert align([], []).pieces == 0
    with pytest.raises(ValueError, match="teacher's tokens go back"):
        align([3, 2], [3])
    with pytest.raises(ValueError, match="student's tokens go back"):
        align([3], [-1, 3])


lengths = st.lists(st.integers(0, 4), max_size=12)


@given(lengths, lengths, st.integers(0, 10))
def test_pieces_hold_the_same_bytes_on_both_sides(teacher: list[int], student: list[int], start: int) -> None:
    def ends_of(parts: list[int]) -> list[int]:
        return [sum(parts[: i + 1]) for i in range(len(parts))]

    def spans(ends: list[int], pieces: tuple[int, ...]) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for i, piece in enumerate(pieces):
            begin = ends[i - 1] if i else 0
            if piece != OUTSIDE:
                assert begin >= start
                assert found.get(piece, (0, begin))[1] == begin  # without gaps
                found[piece] = (found.get(piece, (begin, 0))[0], ends[i])
        return found

    ends = ends_of(teacher), ends_of(student)
    made = align(*ends, start=start)
    mine, theirs = spans(ends[0], made.teacher_pieces), spans(ends[1], made.student_pieces)
    assert mine == theirs
    assert sorted(mine) == list(range(made.pieces))
    inner = set(ends[0]) & set(ends[1])
    assert not any(begin < end < stop for begin, stop in mine.values() for end in inner)  # none could be smaller


def test_likelihood_of_pieces_is_the_sum_over_their_tokens() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -4.0, -8.0, -16.0], dtype=torch.float64).requires_grad_()
    pieces = torch.tensor([OUTSIDE, 0, 0, 2, OUTSIDE])
    made = piece_logprobs(logprobs, pieces, 3)
    torch.testing.assert_close(made, torch.tensor([-6.0, 0.0, -8.0], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(made.sum(), logprobs)
    torch.testing.assert_close(gradient, torch.tensor([0.0, 1, 1, 1, 0], dtype=torch.float64))
    assert piece_logprobs(logprobs.bfloat16(), pieces, 3).dtype == torch.float32
    with pytest.raises(ValueError, match=r"in -1\.\.1, not -1\.\.2"):
        piece_logprobs(logprobs, pieces, 2)
    with pytest.raises(ValueError, match=r"must both be \(N,\)"):
        piece_logprobs(logprobs, pieces[:4], 3)
    with pytest.raises(ValueError, match=r"torch\.int32"):
        piece_logprobs(logprobs, pieces.int(), 3)


def draw() -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    logs = -8 * torch.rand(2, 20, generator=made, dtype=torch.float64) - 0.01
    return logs[0], logs[1]


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("temperature", [1.0, 100.0])
def test_coins_by_their_properties(divergence: Divergence, temperature: float) -> None:
    teacher, student = draw()
    same = likelihood_matching(teacher, teacher, divergence, temperature=temperature)
    torch.testing.assert_close(same, torch.zeros_like(same), atol=1e-12, rtol=0)
    assert (likelihood_matching(teacher, student, divergence, temperature=temperature) > 0).all()
    leaf = student[:4].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: likelihood_matching(teacher[:4], s, divergence, temperature=temperature), (leaf,), eps=1e-5
    )


def test_value_by_hand_and_limit() -> None:
    teacher, student = torch.tensor([0.5]).double().log(), torch.tensor([0.25]).double().log()
    plain = 0.5 * math.log(2) + 0.5 * math.log(0.5 / 0.75)
    assert float(likelihood_matching(teacher, student, temperature=1)) == pytest.approx(plain, rel=1e-5)
    warm = 0.5**0.01 * math.log(2) / 100 + (1 - 0.5**0.01) * math.log((1 - 0.5**0.01) / (1 - 0.25**0.01))
    assert float(likelihood_matching(teacher, student)) == pytest.approx(warm, rel=1e-3)
    x, y = draw()
    limit = x - y - x * (x / y).log()
    torch.testing.assert_close(1e3 * likelihood_matching(x, y, temperature=1e3), limit, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("divergence", ALL)
def test_certain_and_impossible_pieces_stay_finite(divergence: Divergence) -> None:
    teacher = torch.tensor([0.0, 1e-4, -1e4, 0.0, -1e4])
    student = torch.tensor([0.0, -1e4, 1e-4, -1e-7, -1e4]).requires_grad_()
    for temperature in (1.0, 100.0):
        value = likelihood_matching(teacher, student, divergence, temperature=temperature)
        (gradient,) = torch.autograd.grad(value.sum(), student)
        assert value.isfinite().all()
        assert gradient.isfinite().all()


def test_the_student_moves_towards_the_teacher() -> None:
    teacher = torch.tensor([-2.0, -6.0, -0.5])
    guess = torch.tensor([-5.0, -1.0, -3.0], requires_grad=True)
    optimizer = torch.optim.Adam([guess], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        likelihood_matching(teacher, guess).sum().backward()
        optimizer.step()
    torch.testing.assert_close(guess.detach(), teacher, atol=0.05, rtol=0)


def test_wrong_arguments_are_one_clear_line() -> None:
    teacher, student = draw()
    with pytest.raises(ValueError, match=r"same pieces, not \(20,\) and \(19,\)"):
        likelihood_matching(teacher, student[:19])
    with pytest.raises(ValueError, match=r"at least 1, not 0\.5"):
        likelihood_matching(teacher, student, temperature=0.5)
