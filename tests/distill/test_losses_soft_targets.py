"""Sparse soft targets: exact at stored temperatures, bounded between, below the dense loss, equal to it at k = V."""

import pytest
import torch

from distill.losses.events import Divergence
from distill.losses.forward_kl import forward_kl
from distill.losses.response import DIVERGENCES, dense_divergence, divergence_named, sparse_divergence
from distill.losses.soft_targets import SoftTargets, SparseLogProbs, soft_targets

ALL = [pytest.param(divergence_named(name), id=name) for name in DIVERGENCES]
STORED = (1.5, 2.0, 3.0, 5.0)
V = 400


def logits(rows: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A few likely tokens over a broad tail, as of a language model."""
    made = torch.Generator().manual_seed(seed)
    tail = torch.randn(rows, V, generator=made, dtype=torch.float64) * 2
    tail[:, :5] += 9 * torch.rand(rows, 5, generator=made, dtype=torch.float64)
    return tail.to(dtype)


def targets(k: int = 16, **kwargs: object) -> tuple[torch.Tensor, SoftTargets]:
    teacher = logits()
    return teacher, soft_targets(teacher, torch.arange(6), k=k, temperatures=STORED, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [1.0, *STORED])
def test_exact_at_stored_temperatures(temperature: float) -> None:
    teacher, sparse = targets()
    made, dense = sparse.at(temperature), (teacher / temperature).log_softmax(1)
    torch.testing.assert_close(made.logprobs_NK, dense.gather(1, made.ids_NK), rtol=1e-12, atol=1e-12)
    tail = dense.scatter(1, made.ids_NK, float("-inf")).logsumexp(1)
    torch.testing.assert_close(made.tail_logprob_N, tail, rtol=1e-9, atol=1e-9)


def test_the_labels_log_probability_is_kept_whatever_its_rank() -> None:
    teacher, sparse = targets()
    torch.testing.assert_close(sparse.label_logprob_N, teacher.log_softmax(1)[torch.arange(6), torch.arange(6)])


@pytest.mark.parametrize("temperature", [1.1, 1.25, 1.7, 2.4, 2.6, 3.5, 4.0, 4.7])
def test_bounded_between_stored_temperatures(temperature: float) -> None:
    """The log-partition errs upwards, by at most h^2 / 8 * max Var(log p over the tail) times the tail's share."""
    teacher, sparse = targets()
    made, b = sparse.at(temperature), 1 / temperature
    dense = (teacher * b).log_softmax(1)
    excess = dense.gather(1, made.ids_NK) - made.logprobs_NK
    torch.testing.assert_close(excess, excess[:, :1].expand_as(excess), rtol=1e-6, atol=1e-9)
    knots = sorted(1 / t for t in (1.0, *STORED))
    below, above = max(k for k in knots if k < b), min(k for k in knots if k > b)
    logprobs = teacher.log_softmax(1)
    tail = logprobs.scatter(1, made.ids_NK, float("-inf"))
    variances = []
    for step in range(201):
        weights = ((below + (above - below) * step / 200) * tail).softmax(1)
        mean = (weights * logprobs).sum(1, keepdim=True)
        variances.append((weights * (logprobs - mean) ** 2).sum(1))
    chord = (above - below) ** 2 / 8 * torch.stack(variances).amax(0)
    share = dense.scatter(1, made.ids_NK, float("-inf")).logsumexp(1).exp()
    # log(share * e^chord + 1 - share), of which share * chord is the first order
    bound = torch.log1p(share * torch.expm1(chord))
    assert (excess[:, 0] > 0).all()
    assert (excess[:, 0] <= bound + 1e-12).all()
    assert float(bound.max()) < 0.12


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_one_tail_bucket_gives_a_lower_bound_that_k_equal_v_closes(divergence: Divergence, temperature: float) -> None:
    teacher, student = logits(), logits(seed=1)
    dense = dense_divergence(teacher, student, divergence, temperature=temperature)
    last = torch.zeros(6, dtype=torch.float64)
    for k in (1, 16, 200):
        sparse = soft_targets(teacher, torch.arange(6), k=k, temperatures=STORED)
        value = sparse_divergence(sparse, student, divergence, temperature=temperature)
        assert (value <= dense + 1e-12).all()
        assert (value >= last - 1e-12).all()  # splitting a bucket never lowers the value
        last = value
    whole = soft_targets(teacher, torch.arange(6), k=V, temperatures=STORED)
    torch.testing.assert_close(sparse_divergence(whole, student, divergence, temperature=temperature), dense)


def test_what_forward_kl_loses_is_the_divergence_within_the_tail() -> None:
    teacher, sparse = targets()
    student = logits(seed=1)
    hide = lambda z: z.scatter(1, sparse.ids_NK, float("-inf")).log_softmax(1)  # noqa: E731
    keep = torch.ones(6, V, dtype=torch.bool).scatter(1, sparse.ids_NK, False)
    within = forward_kl(hide(teacher)[keep].view(6, -1), hide(student)[keep].view(6, -1))
    lost = dense_divergence(teacher, student) - sparse_divergence(sparse, student)
    torch.testing.assert_close(lost, sparse.at(1).tail_logprob_N.exp() * within)


@pytest.mark.parametrize("divergence", ALL)
def test_gradient_of_the_sparse_form(divergence: Divergence) -> None:
    teacher, student = logits(rows=2)[:, :9], logits(rows=2, seed=1)[:, :9].clone().requires_grad_()
    sparse = soft_targets(teacher, torch.tensor([0, 8]), k=3, temperatures=(2.0,))
    assert torch.autograd.gradcheck(lambda z: sparse_divergence(sparse, z, divergence, temperature=2.0), (student,))


@pytest.mark.parametrize("divergence", ALL)
def test_zero_where_the_student_is_the_teacher(divergence: Divergence) -> None:
    teacher, sparse = targets()
    for temperature in (1.0, 3.0):
        value = sparse_divergence(sparse, teacher, divergence, temperature=temperature)
        torch.testing.assert_close(value, torch.zeros_like(value), atol=1e-12, rtol=0)


@pytest.mark.parametrize("divergence", ALL)
def test_half_precision_storage_and_extreme_logits_stay_finite(divergence: Divergence) -> None:
    teacher = torch.tensor([[1e4, -1e4, 0.0, 5.0], [3.0, 3.0, 3.0, -1e4]])
    exact = soft_targets(teacher, torch.zeros(2, dtype=torch.int64), k=2, temperatures=(2.0, 5.0))
    halves = exact.logprobs_NK.half(), exact.log_partition_NB.half()
    stored = SoftTargets(exact.ids_NK, *halves, exact.temperatures_B, exact.label_logprob_N)
    for temperature in (1.0, 1.5, 2.0, 5.0):
        student = teacher.flip(1).bfloat16().requires_grad_()
        value = sparse_divergence(stored, student, divergence, temperature=temperature)
        value.sum().backward()
        assert value.isfinite().all()
        assert student.grad is not None
        assert student.grad.isfinite().all()


def test_half_precision_storage_still_sums_to_one() -> None:
    _teacher, exact = targets(k=V)
    stored = SoftTargets(
        exact.ids_NK, exact.logprobs_NK.half(), exact.log_partition_NB.float(), STORED, exact.label_logprob_N
    )
    for temperature in (1.0, 1.2, 2.0, 4.0):
        made = stored.at(temperature)
        total = torch.cat([made.logprobs_NK, made.tail_logprob_N[:, None]], 1).logsumexp(1)
        torch.testing.assert_close(total, torch.zeros(6), atol=2e-6, rtol=0)


def test_a_teacher_without_partitions_teaches_at_one_alone() -> None:
    plain = soft_targets(logits(), torch.arange(6), temperatures=())
    assert plain.at(1).ids_NK.shape == (6, 32)
    with pytest.raises(ValueError, match=r"temperature 2 is outside the stored ones \(1\)"):
        plain.at(2)
    with pytest.raises(ValueError, match=r"temperature 6 is outside the stored ones \(1, 1.5, 2, 3, 5\)"):
        targets()[1].at(6)
    with pytest.raises(ValueError, match=r"temperature 0.5 is outside"):
        targets()[1].at(0.5)


def test_positions_left_out_have_no_effect() -> None:
    _teacher, sparse = targets()
    student = logits(seed=1)
    whole = sparse_divergence(sparse, student, temperature=2.0)
    chosen = torch.tensor([True, False, True, True, False, False])
    torch.testing.assert_close(sparse_divergence(sparse.rows(chosen), student[chosen], temperature=2.0), whole[chosen])
    torch.testing.assert_close(sparse_divergence(sparse.rows(slice(2, 5)), student[2:5], temperature=2.0), whole[2:5])
    assert len(sparse.rows(chosen)) == 3


def test_moved_whole() -> None:
    _teacher, sparse = targets()
    moved = sparse.to("cpu")
    assert moved.temperatures_B == STORED
    assert torch.equal(moved.log_partition_NB, sparse.log_partition_NB)


def test_wrong_shapes_and_types_are_one_clear_line() -> None:
    _teacher, sparse = targets()
    ids, logprobs, partition, label = (
        sparse.ids_NK, sparse.logprobs_NK, sparse.log_partition_NB, sparse.label_logprob_N
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"ids_NK must be int64, not torch\.int32"):
        SoftTargets(ids.int(), logprobs, partition, STORED, label)
    with pytest.raises(ValueError, match=r"\(6, 16\) and \(6, 15\)"):
        SoftTargets(ids, logprobs[:, :15], partition, STORED, label)
    with pytest.raises(ValueError, match=r"log_partition_NB must be \(6, 3\)"):
        SoftTargets(ids, logprobs, partition, STORED[:3], label)
    with pytest.raises(ValueError, match=r"label_logprob_N must be \(6,\)"):
        SoftTargets(ids, logprobs, partition, STORED, label[:5])
    with pytest.raises(ValueError, match="positive number, not -1"):
        SoftTargets(ids, logprobs, partition[:, :1], (-1.0,), label)
    with pytest.raises(ValueError, match=r"tail_logprob_N must be \(6,\)"):
        SparseLogProbs(ids, logprobs, label[:2])
    with pytest.raises(ValueError, match="use likelihood_matching"):
        sparse_divergence(sparse, logits()[:, :3])
    with pytest.raises(ValueError, match="matrix of 6 rows"):
        sparse_divergence(sparse, logits(rows=5))
    with pytest.raises(ValueError, match="at least k = 500"):
        soft_targets(logits(), torch.arange(6), k=500)
