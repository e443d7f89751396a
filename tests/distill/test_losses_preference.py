"""DPO as a pure function: by hand, by its properties, and by autograd's own check."""

import math

import pytest
import torch

from distill.losses.preference import preference_loss, summed

PAIRS_N = torch.tensor([0, 0, 0, 1, 1, 1, 1])
IS_CHOSEN_N = torch.tensor([True, True, False, True, False, False, False])
NATS_N = torch.tensor([0.5, 1.5, 3.0, 2.0, 0.25, 0.25, 1.0], dtype=torch.float64)
REFERENCE_P2 = torch.tensor([[3.0, 2.5], [1.0, 1.75]], dtype=torch.float64)


def loss(nats_N: torch.Tensor, beta: float = 0.5, sft_weight: float = 0.0) -> torch.Tensor:
    return preference_loss(nats_N, PAIRS_N, IS_CHOSEN_N, REFERENCE_P2, beta=beta, sft_weight=sft_weight).total


def test_by_hand() -> None:
    found = preference_loss(NATS_N, PAIRS_N, IS_CHOSEN_N, REFERENCE_P2, beta=0.5, sft_weight=2.0)
    # Pair 0: chosen 3.0 -> 2.0 nats, rejected 2.5 -> 3.0; pair 1: chosen 1.0 -> 2.0, rejected 1.75 -> 1.5.
    assert found.margins_P.tolist() == [1.0 + 0.5, -1.0 - 0.25]
    preference = sum(math.log(1 + math.exp(-0.5 * margin)) for margin in (1.5, -1.25)) / 2
    assert float(found.preference) == pytest.approx(preference, rel=1e-12)
    assert float(found.replies) == pytest.approx((0.5 + 1.5 + 2.0) / 3, rel=1e-12)
    assert float(found.total) == pytest.approx(preference + 2.0 * 4 / 3, rel=1e-12)


def test_a_student_that_is_its_reference_has_the_loss_of_a_coin() -> None:
    reference_P2 = summed(NATS_N, PAIRS_N, IS_CHOSEN_N, 2)
    found = preference_loss(NATS_N, PAIRS_N, IS_CHOSEN_N, reference_P2, beta=0.1)
    assert found.margins_P.tolist() == [0.0, 0.0]
    assert float(found.total) == pytest.approx(math.log(2), rel=1e-12)


def test_it_wants_the_chosen_likelier_and_the_rejected_less_and_both_by_the_same() -> None:
    nats_N = NATS_N.clone().requires_grad_()
    (slope_N,) = torch.autograd.grad(loss(nats_N), nats_N)
    assert (slope_N[IS_CHOSEN_N] > 0).all()
    assert (slope_N[~IS_CHOSEN_N] < 0).all()
    # Equation 7's gradient: beta * sigmoid(-beta * margin) for each token of a pair, over the number of pairs.
    expected = [0.5 / (1 + math.exp(0.5 * margin)) / 2 for margin in (1.5, -1.25)]
    assert slope_N.abs().tolist() == pytest.approx([expected[pair] for pair in PAIRS_N.tolist()], rel=1e-12)


def test_what_both_replies_gain_alike_changes_nothing() -> None:
    shifted_N = NATS_N.clone()
    shifted_N[[0, 2]] += 0.7  # one token of each reply of pair 0
    assert float(loss(shifted_N)) == pytest.approx(float(loss(NATS_N)), rel=1e-12)


def test_the_order_of_tokens_and_pairs_does_not_matter() -> None:
    order = torch.tensor([6, 2, 0, 4, 1, 3, 5])
    found = preference_loss(NATS_N[order], 1 - PAIRS_N[order], IS_CHOSEN_N[order], REFERENCE_P2.flip(0), beta=0.5)
    assert float(found.total) == pytest.approx(float(loss(NATS_N)), rel=1e-12)


def test_gradients() -> None:
    assert torch.autograd.gradcheck(lambda nats_N: loss(nats_N, 0.3, 0.7), NATS_N.clone().requires_grad_())


def test_narrow_types_are_summed_wide() -> None:
    nats_N = torch.full((4096,), 1 / 256, dtype=torch.bfloat16)
    ones_N = torch.ones(4096, dtype=torch.bool)
    assert summed(nats_N, torch.zeros(4096, dtype=torch.int64), ones_N, 1).tolist() == [[16.0, 0.0]]


@pytest.mark.parametrize(
    "change",
    [
        {"pairs_N": PAIRS_N[:-1]},
        {"pairs_N": PAIRS_N.float()},
        {"pairs_N": PAIRS_N + 1},
        {"is_chosen_N": IS_CHOSEN_N.long()},
        {"reference_nats_P2": REFERENCE_P2[:, :1]},
        {"reference_nats_P2": REFERENCE_P2[:0]},
        {"beta": 0.0},
        {"sft_weight": -1.0},
    ],
)
def test_what_makes_no_sense_is_one_error(change: dict[str, object]) -> None:
    given = {"pairs_N": PAIRS_N, "is_chosen_N": IS_CHOSEN_N, "reference_nats_P2": REFERENCE_P2, "beta": 0.5, **change}
    with pytest.raises(ValueError, match=r"pairs_N|is_chosen_N|reference_nats_P2|beta"):
        preference_loss(NATS_N, **given)  # type: ignore[arg-type]
