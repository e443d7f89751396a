"""Feature, attention and layerwise losses: parity with torch, hand-computed values, masks, widths and head counts."""

import math

import pytest
import torch
import torch.nn.functional as F

from distill.layer_maps import LayerMap
from distill.losses.attention_matrices import attention_mse
from distill.losses.hidden import hidden_cosine, hidden_l2
from distill.losses.hints import HintProjections
from distill.losses.layerwise import LayerTerm, layerwise
from distill.losses.value_relation import value_relation


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_hidden_states_against_torch_and_by_hand() -> None:
    student, teacher = draw(6, 4), draw(6, 4, seed=1)
    torch.testing.assert_close(hidden_l2(student, teacher).mean(), 0.5 * F.mse_loss(student, teacher))
    ones = torch.ones(6, dtype=torch.float64)
    expected = F.cosine_embedding_loss(student, teacher, ones, reduction="none")
    torch.testing.assert_close(hidden_cosine(student, teacher), expected)
    one = torch.tensor([[3.0, 4.0]])
    assert float(hidden_l2(one, torch.zeros(1, 2))) == pytest.approx(25 / 4)
    assert float(hidden_cosine(one, 7 * one)) == pytest.approx(0, abs=1e-6)
    assert float(hidden_cosine(one, -one)) == pytest.approx(2)


@pytest.mark.parametrize("loss", [hidden_l2, hidden_cosine])
def test_hidden_states_gradient_zero_and_types(loss) -> None:  # type: ignore[no-untyped-def]
    student, teacher = draw(3, 4).requires_grad_(), draw(3, 4, seed=1)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), (student,))
    torch.testing.assert_close(loss(teacher, teacher), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    narrow = loss(student.detach().bfloat16(), teacher.bfloat16())
    assert narrow.dtype == torch.float32
    zero = torch.zeros(2, 4, requires_grad=True)
    loss(zero, torch.zeros(2, 4)).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
    with pytest.raises(ValueError, match=r"project where widths differ"):
        loss(student, teacher[:, :3])
    with pytest.raises(ValueError, match=r"floating point, not torch\.int64"):
        loss(student, teacher.long())


def test_projections_go_to_the_teachers_width_and_learn() -> None:
    pairs: LayerMap = ((1, 2), (2, 4))
    projections = HintProjections(pairs, 4, 6, seed=3)
    states = draw(5, 4).float()
    projected = projections(states, (2, 4))
    assert projected.shape == (5, 6)
    torch.testing.assert_close(projected.norm(dim=1), states.norm(dim=1))  # orthogonal: lengths survive
    assert not torch.equal(projected, projections(states, (1, 2)))
    again = HintProjections(pairs, 4, 6, seed=3)
    torch.testing.assert_close(again(states, (1, 2)), projections(states, (1, 2)), rtol=0, atol=0)
    target, optimizer = draw(5, 6, seed=2).float(), torch.optim.SGD(projections.parameters(), lr=0.5)
    first = hidden_l2(projections(states, (1, 2)), target).mean()
    for _ in range(20):
        optimizer.zero_grad()
        hidden_l2(projections(states, (1, 2)), target).mean().backward()
        optimizer.step()
    after = hidden_l2(projections(states, (1, 2)), target).mean()
    assert float(after.detach()) < 0.8 * float(first.detach())
    same = HintProjections(pairs, 4, 4)
    assert same(states, (1, 2)) is states
    assert not list(same.parameters())
    with pytest.raises(ValueError, match="student layer 1 and teacher layer 4"):
        projections(states, (1, 4))
    with pytest.raises(ValueError, match="4 wide, not 6"):
        projections(target, (1, 2))


def causal(places: int) -> torch.Tensor:
    return torch.ones(places, places, dtype=torch.bool).tril()


def test_attention_matrices() -> None:
    student, teacher = draw(2, 3, 4, 4).requires_grad_(), draw(2, 3, 4, 4, seed=1)
    torch.testing.assert_close(attention_mse(student, teacher), F.mse_loss(student, teacher))
    assert torch.autograd.gradcheck(lambda s: attention_mse(s, teacher, causal(4)), (student,))
    by_hand = (student - teacher).square()[:, :, causal(4)].mean()
    torch.testing.assert_close(attention_mse(student, teacher, causal(4)), by_hand)
    torch.testing.assert_close(attention_mse(student, teacher, causal(4).expand(2, 4, 4)), by_hand)


def test_hidden_places_of_attention_have_no_effect() -> None:
    student, teacher = draw(2, 3, 4, 4), draw(2, 3, 4, 4, seed=1)
    hidden = ~causal(4)
    scores = student.masked_fill(hidden, float("-inf")).requires_grad_()
    loss = attention_mse(scores, teacher.masked_fill(hidden, float("-inf")), causal(4))
    loss.backward()
    torch.testing.assert_close(loss.detach(), attention_mse(student, teacher, causal(4)))
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert float(scores.grad[:, :, hidden].abs().max()) == 0
    nothing = attention_mse(student, teacher, torch.zeros(4, 4, dtype=torch.bool))
    assert float(nothing) == 0


def test_attention_of_other_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="value_relation"):
        attention_mse(draw(1, 3, 4, 4), draw(1, 2, 4, 4))
    with pytest.raises(ValueError, match=r"\(4, 4\) or \(1, 4, 4\)"):
        attention_mse(draw(1, 3, 4, 4), draw(1, 3, 4, 4), causal(5))
    with pytest.raises(ValueError, match=r"must be bool"):
        attention_mse(draw(1, 3, 4, 4), draw(1, 3, 4, 4), causal(4).long())


def test_value_relation_by_hand() -> None:
    """Two places, one head of width one: values (a, b) give the scores (a*a, a*b) and (b*a, b*b)."""
    teacher, student = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1), torch.tensor([0.0, 2.0]).view(1, 1, 2, 1)
    e = math.exp
    teacher_rows = [(e(1) / (e(1) + 1), 1 / (e(1) + 1)), (0.5, 0.5)]
    student_rows = [(0.5, 0.5), (1 / (1 + e(4)), e(4) / (1 + e(4)))]
    both = zip(teacher_rows, student_rows, strict=True)
    kl = [sum(p * math.log(p / q) for p, q in zip(*rows, strict=True)) for rows in both]
    assert float(value_relation(student, teacher)) == pytest.approx(sum(kl) / 2, rel=1e-5)
    # The first place sees itself alone, whatever the values: only the second counts something.
    assert float(value_relation(student, teacher, causal(2))) == pytest.approx(kl[1] / 2, rel=1e-5)


def test_value_relation_properties() -> None:
    student, teacher = draw(2, 2, 5, 3).requires_grad_(), draw(2, 2, 5, 3, seed=1)
    assert torch.autograd.gradcheck(lambda s: value_relation(s, teacher, causal(5)), (student,))
    assert float(value_relation(teacher, teacher, causal(5))) == pytest.approx(0, abs=1e-12)
    assert float(value_relation(student, teacher)) > 0


def test_value_relation_of_grouped_queries_is_that_of_repeated_heads() -> None:
    """MiniLM averages over query heads; grouped queries repeat each value head equally often."""
    student, teacher = draw(2, 2, 5, 3), draw(2, 2, 5, 4, seed=1)
    repeated = value_relation(student.repeat_interleave(3, dim=1), teacher.repeat_interleave(3, dim=1), causal(5))
    torch.testing.assert_close(value_relation(student, teacher, causal(5)), repeated)


def test_value_relation_between_head_counts() -> None:
    student, teacher = draw(2, 3, 5, 4), draw(2, 4, 5, 8, seed=1)
    joined = lambda v: v.transpose(1, 2).reshape(2, 1, 5, -1)  # noqa: E731 - one head: all of a place's values
    one_head = value_relation(joined(student), joined(teacher), causal(5))
    torch.testing.assert_close(value_relation(student, teacher, causal(5)), one_head)
    six = value_relation(student, draw(2, 4, 5, 6, seed=1), causal(5), relation_heads=6)
    assert float(six) > 0
    with pytest.raises(ValueError, match="5 relation heads do not divide the joined width 12"):
        value_relation(student, teacher, relation_heads=5)
    with pytest.raises(ValueError, match="of the same texts"):
        value_relation(student, teacher[:, :, :4])


def test_padding_has_no_effect_on_the_value_relation() -> None:
    student, teacher = draw(1, 2, 4, 3).requires_grad_(), draw(1, 2, 4, 3, seed=1)
    padded_student = torch.cat([student, 99 * draw(1, 2, 2, 3, seed=5)], dim=2)
    padded_teacher = torch.cat([teacher, 99 * draw(1, 2, 2, 3, seed=6)], dim=2)
    visible = torch.zeros(6, 6, dtype=torch.bool)
    visible[:4, :4] = causal(4)
    whole = value_relation(padded_student, padded_teacher, visible)
    torch.testing.assert_close(whole, value_relation(student, teacher, causal(4)))
    (gradient,) = torch.autograd.grad(whole, student)
    assert gradient.isfinite().all()


def states(layers: int, width: int, seed: int) -> list[torch.Tensor]:
    return [draw(5, width, seed=seed + i) for i in range(layers + 1)]


def test_several_maps_at_once_with_weights() -> None:
    student, teacher = states(2, 4, 0), states(4, 4, 10)
    near = LayerTerm("l2", ((1, 2), (2, 4)), student, teacher, hidden_l2, 2.0, (3.0, 1.0))
    turned = LayerTerm("cosine", ((2, 4),), student, teacher, hidden_cosine, 0.5)
    made = layerwise([near, turned])
    l2 = (3 * hidden_l2(student[1], teacher[2]).mean() + hidden_l2(student[2], teacher[4]).mean()) / 4
    cosine = hidden_cosine(student[2], teacher[4]).mean()
    torch.testing.assert_close(made.parts, {"l2": l2, "cosine": cosine})
    torch.testing.assert_close(made.total, 2 * l2 + 0.5 * cosine)


def test_maps_with_projections_and_attention() -> None:
    pairs: LayerMap = ((1, 2), (2, 3))
    student = [s.float().requires_grad_() for s in states(2, 4, 0)]
    teacher = [t.float().requires_grad_() for t in states(3, 6, 10)]
    projections = HintProjections(pairs, 4, 6)
    matrices = [None, draw(1, 2, 5, 5).float().requires_grad_(), draw(1, 2, 5, 5, seed=1).float().requires_grad_()]
    looks = [None, *(draw(1, 2, 5, 5, seed=i).float() for i in range(2, 5))]
    terms = [
        LayerTerm("hidden", pairs, student, teacher, hidden_l2, projections=projections),
        LayerTerm("attention", pairs, matrices, looks, attention_mse, 0.1),
    ]
    made = layerwise(terms)
    made.total.backward()
    assert all(layer.weight.grad is not None for layer in projections.layers.values())
    assert all(t.grad is None for t in teacher)  # the teacher does not learn
    assert student[0].grad is None
    assert student[1].grad is not None
    assert matrices[1] is not None
    assert matrices[1].grad is not None
    assert set(made.parts) == {"hidden", "attention"}


def test_maps_that_do_not_fit_are_refused() -> None:
    student, teacher = states(2, 4, 0), states(4, 4, 10)
    good = LayerTerm("l2", ((1, 2),), student, teacher, hidden_l2)
    with pytest.raises(ValueError, match="different names"):
        layerwise([good, good])
    with pytest.raises(ValueError, match="different names"):
        layerwise([])
    with pytest.raises(ValueError, match=r"l2: the student has no states of layer 3 \(3 given, from 0\)"):
        layerwise([LayerTerm("l2", ((3, 2),), student, teacher, hidden_l2)])
    with pytest.raises(ValueError, match="the teacher has no states of layer 5"):
        layerwise([LayerTerm("l2", ((1, 5),), student, teacher, hidden_l2)])
    with pytest.raises(ValueError, match="1 pairs of layers need as many weights"):
        layerwise([LayerTerm("l2", ((1, 2),), student, teacher, hidden_l2, pair_weights=(1, 2))])
