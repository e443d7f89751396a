"""The fused head: chunked equals whole in values and gradients, for any divergence, teacher, type and weight."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from distill.losses import head_chunks
from distill.losses.cross_entropy import linear_cross_entropy
from distill.losses.fused import fused_distillation
from distill.losses.response import DIVERGENCES, combine, dense_divergence, divergence_named, sparse_divergence
from distill.losses.soft_targets import soft_targets
from distill.losses.soft_terms import SoftTerm, TeacherHead, TeacherLogits

N, H, V = 9, 5, 13
TEMPERATURES = (1.5, 2.0, 5.0)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two rows a chunk, so that nine are five chunks and the last is short; threads only slow such small ones down."""
    monkeypatch.setattr(head_chunks, "CHUNK_ELEMENTS", 2 * V)
    monkeypatch.setattr(head_chunks, "LEAST_CHUNK_ROWS", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Case:
    def __init__(self, dtype: torch.dtype = torch.float64, k: int = 4) -> None:
        torch.manual_seed(2)
        self.hidden = torch.randn(N, H, dtype=dtype, requires_grad=True)
        self.head = torch.randn(V, H, dtype=dtype)
        self.labels = torch.randint(V, (N,))
        self.teacher_hidden, self.teacher_head = torch.randn(N, 7, dtype=dtype), torch.randn(V, 7, dtype=dtype)
        self.teacher_logits = self.teacher_hidden @ self.teacher_head.T
        self.sparse = soft_targets(self.teacher_logits, self.labels, k=k, temperatures=TEMPERATURES)
        self.weights = torch.rand(N, dtype=dtype)

    @property
    def logits(self) -> torch.Tensor:
        return self.hidden @ self.head.T

    @property
    def hard(self) -> torch.Tensor:
        return F.cross_entropy(self.logits, self.labels, reduction="none")


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.3])
@pytest.mark.parametrize("k", [1, 4, V])
def test_sparse_chunked_equals_whole(name: str, temperature: float, k: int) -> None:
    case, divergence = Case(k=k), divergence_named(name)
    term = SoftTerm(case.sparse, divergence, temperature, 0.3)
    fused = fused_distillation(case.hidden, case.head, case.labels, [term], hard_weight=0.7)
    soft = sparse_divergence(case.sparse, case.logits, divergence, temperature=temperature)
    whole = combine(case.hard, soft, temperature=temperature, hard_weight=0.7, soft_weight=0.3)
    torch.testing.assert_close(fused.total_N, whole.total_N)
    torch.testing.assert_close(fused.hard_N, whole.hard_N)
    torch.testing.assert_close(fused.soft_MN[0], whole.soft_N)
    upstream = torch.linspace(0.5, 2, N, dtype=torch.float64)
    (ours,) = torch.autograd.grad(fused.total_N, case.hidden, upstream)
    (theirs,) = torch.autograd.grad(whole.total_N, case.hidden, upstream)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("form", ["logits", "logprobs", "head"])
def test_dense_chunked_equals_whole(name: str, form: str) -> None:
    case, divergence = Case(), divergence_named(name)
    teacher = {
        "logits": TeacherLogits(case.teacher_logits),
        "logprobs": TeacherLogits(case.teacher_logits.log_softmax(1)),
        "head": TeacherHead(case.teacher_hidden, case.teacher_head),
    }[form]
    fused = fused_distillation(case.hidden, case.head, case.labels, [SoftTerm(teacher, divergence, 2.0)])
    soft = dense_divergence(case.teacher_logits, case.logits, divergence, temperature=2.0)
    whole = combine(case.hard, soft, temperature=2.0)
    torch.testing.assert_close(fused.total_N, whole.total_N)
    (ours,) = torch.autograd.grad(fused.total_N.sum(), case.hidden)
    (theirs,) = torch.autograd.grad(whole.total_N.sum(), case.hidden)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("first", [1.0, 2.0])
def test_several_terms_with_a_weight_for_each_row(first: float) -> None:
    """A teacher, a second one at T = 1 and an anchor to the base, all in one pass."""
    case = Case()
    base = soft_targets(case.teacher_logits.roll(3, dims=1), case.labels, k=6, temperatures=())
    anchor = TeacherLogits(case.teacher_logits.roll(1, dims=1))
    terms = [
        SoftTerm(case.sparse, divergence_named("reverse_kl"), first, case.weights),
        SoftTerm(base, weight=0.25),
        SoftTerm(anchor, weight=1 - case.weights),
    ]
    fused = fused_distillation(case.hidden, case.head, case.labels, terms, hard_weight=case.weights)
    reverse = sparse_divergence(case.sparse, case.logits, divergence_named("reverse_kl"), temperature=first)
    parts = [reverse, sparse_divergence(base, case.logits), dense_divergence(anchor.logits_NV, case.logits)]
    whole = (
        case.weights * (case.hard + first**2 * parts[0]) + 0.25 * parts[1] + (1 - case.weights) * parts[2]
    )  # fmt: skip
    torch.testing.assert_close(fused.total_N, whole)
    torch.testing.assert_close(fused.soft_MN, torch.stack(parts))
    (ours,) = torch.autograd.grad(fused.total_N.sum(), case.hidden)
    (theirs,) = torch.autograd.grad(whole.sum(), case.hidden)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_gradients_of_hidden_states_and_of_a_trainable_head(temperature: float) -> None:
    case = Case()
    terms = [SoftTerm(case.sparse, temperature=temperature), SoftTerm(TeacherLogits(case.teacher_logits))]
    head = case.head.requires_grad_()

    def total(hidden: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        return fused_distillation(hidden, head, case.labels, terms).total_N

    assert torch.autograd.gradcheck(total, (case.hidden, head))
    assert torch.autograd.gradcheck(lambda hidden: total(hidden, head.detach()), (case.hidden,))
    assert torch.autograd.gradcheck(lambda head: total(case.hidden.detach(), head), (head,))


def test_cross_entropy_is_torchs() -> None:
    case = Case(torch.float32)
    ours = linear_cross_entropy(case.hidden, case.head, case.labels)
    torch.testing.assert_close(ours, case.hard)
    (mine,) = torch.autograd.grad(ours.mean(), case.hidden)
    (theirs,) = torch.autograd.grad(case.hard.mean(), case.hidden)
    torch.testing.assert_close(mine, theirs)
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(case.hidden, case.head, case.labels), case.hard)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_bfloat16_and_extreme_hidden_states(temperature: float) -> None:
    case = Case(torch.float32)
    hidden = (case.hidden.detach() * 2000).bfloat16().requires_grad_()
    terms = [SoftTerm(case.sparse, temperature=temperature), SoftTerm(TeacherLogits(case.teacher_logits.bfloat16()))]
    fused = fused_distillation(hidden, case.head.bfloat16(), case.labels, terms)
    fused.total_N.mean().backward()
    assert fused.total_N.dtype == torch.float32
    assert fused.total_N.isfinite().all()
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.bfloat16
    assert hidden.grad.isfinite().all()
    assert float(hidden.grad.abs().sum()) > 0


def test_bfloat16_is_near_float32() -> None:
    case = Case(torch.float32)
    hidden = case.hidden.detach().bfloat16().requires_grad_()
    terms = [SoftTerm(case.sparse, temperature=2.0)]
    narrow = fused_distillation(hidden, case.head.bfloat16(), case.labels, terms).total_N
    whole = fused_distillation(case.hidden, case.head, case.labels, terms).total_N
    torch.testing.assert_close(narrow, whole, rtol=0.05, atol=0.05)
    (ours,) = torch.autograd.grad(narrow.sum(), hidden)
    (theirs,) = torch.autograd.grad(whole.sum(), case.hidden)
    assert float(F.cosine_similarity(ours.float().flatten(), theirs.flatten(), dim=0)) > 0.999


def test_no_tensor_of_all_rows_and_the_vocabulary_is_made() -> None:
    """Chunks of two rows: with nine rows, no allocation may reach the size of the whole logits."""
    from torch.utils._python_dispatch import TorchDispatchMode

    sizes: list[int] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            made = func(*args, **(kwargs or {}))
            sizes.extend(x.numel() for x in (made if isinstance(made, (tuple, list)) else [made]) if torch.is_tensor(x))
            return made

    case = Case()
    teacher = TeacherHead(case.teacher_hidden, case.teacher_head)
    with Watch():
        terms = [SoftTerm(case.sparse, temperature=2.0), SoftTerm(teacher)]
        fused_distillation(case.hidden, case.head, case.labels, terms).total_N.sum().backward()
    assert 2 * V in sizes
    assert max(sizes) < N * V


def test_no_positions_no_loss() -> None:
    case = Case()
    none = slice(0, 0)
    fused = fused_distillation(case.hidden[none], case.head, case.labels[none], [SoftTerm(case.sparse.rows(none))])
    assert fused.total_N.shape == (0,)
    fused.total_N.sum().backward()
    assert float(case.hidden.grad.abs().sum()) == 0  # type: ignore[union-attr]


def test_wrong_arguments_are_one_clear_line() -> None:
    case = Case()
    with pytest.raises(ValueError, match="leave positions without a label out"):
        linear_cross_entropy(case.hidden, case.head, case.labels.index_fill(0, torch.tensor([3]), -100))
    with pytest.raises(ValueError, match=r"\(N, H\) and \(V, H\)"):
        linear_cross_entropy(case.hidden[:, :4], case.head, case.labels)
    with pytest.raises(ValueError, match=r"one float type, not torch\.float64 and torch\.float32"):
        linear_cross_entropy(case.hidden, case.head.float(), case.labels)
    with pytest.raises(ValueError, match=r"labels must be \(N,\) int64"):
        linear_cross_entropy(case.hidden, case.head, case.labels.int())
    with pytest.raises(ValueError, match="a teacher of 8 positions cannot teach 9"):
        fused_distillation(case.hidden, case.head, case.labels, [SoftTerm(case.sparse.rows(slice(8)))])
    low = torch.zeros_like(case.labels)
    with pytest.raises(ValueError, match=r"not all in the student's 0\.\.8: soft targets need one vocabulary"):
        fused_distillation(case.hidden, case.head[:9], low, [SoftTerm(case.sparse)])
    with pytest.raises(ValueError, match=r"same events, not \(\d+, 13\) and \(\d+, 9\)"):
        fused_distillation(case.hidden, case.head[:9], low, [SoftTerm(TeacherLogits(case.teacher_logits))])
    with pytest.raises(ValueError, match=r"a weight must be a number or \(9,\), not \(8,\)"):
        fused_distillation(case.hidden, case.head, case.labels, hard_weight=torch.ones(8))
