"""What a training step is made of: the split, packed rows, attention, the loss, the gate; each by its properties."""

import pytest
import torch
import torch.nn.functional as F
from talks import question, reply, talk

from distill.attention import shared_prefix_attention
from distill.config import DistillConfig
from distill.dataset import Example, split
from distill.evaluate.bootstrap import Difference, paired_difference
from distill.examination import Scores
from distill.gate import verdict_on
from distill.losses.cross_entropy import linear_cross_entropy
from distill.rows import IGNORED, pack, schedule


def example(tokens: list[int], first_target: int) -> Example:
    return Example("c", tuple(tokens), tuple(i >= first_target for i in range(len(tokens))), (), "")


def test_split_is_fixed_by_the_conversations_id() -> None:
    talks = [
        talk(f"c{i}", question(f"is {i} even?"), reply("r", f"{i} is {i % 2} more than even.")) for i in range(300)
    ]
    config = DistillConfig()
    whole, half = split(talks, config), split(talks[::2], config)
    held = {d.conversation for d in whole.heldout}
    assert 15 < len(held) < 60
    assert {d.conversation for d in half.heldout} == held & {t.id for t in talks[::2]}
    assert held.isdisjoint(d.conversation for d in whole.train)


def test_private_words_are_not_even_context() -> None:
    turns = [question("hello"), reply("a"), question("secret", label="private"), reply("b")]
    (dialogue,) = split([talk("x1", *turns)], DistillConfig(heldout_share=1e-9)).train
    assert [m.content for m in dialogue.messages] == ["hello", "No. 12 percent is free."]


def test_packed_row_predicts_targets_from_their_own_conversation() -> None:
    packed = pack([1, 2, 3], [example([10, 11, 12], 2), example([20, 21], 1)])
    assert packed.input_ids_S == [1, 2, 3, 10, 11, 12, 20, 21]
    assert packed.position_ids_S == [0, 1, 2, 3, 4, 5, 3, 4]
    assert packed.labels_S == [IGNORED] * 4 + [12, IGNORED, 21, IGNORED]
    assert packed.lengths == (3, 3, 2)


def test_schedule_sees_every_example_once_an_epoch_and_keeps_the_share() -> None:
    rows = schedule([100] * 40, [50, 5], epochs=2, row_tokens=450, identity_share=0.5, seed=1)
    for epoch in (0, 1):
        seen = [i for row in rows if row.epoch == epoch for i in row.examples]
        assert sorted(seen) == list(range(40))
    assert abs(sum(row.prefix == 0 for row in rows) / len(rows) - 0.5) < 0.1
    assert rows == schedule([100] * 40, [50, 5], epochs=2, row_tokens=450, identity_share=0.5, seed=1)


def test_shared_prefix_attention_equals_each_conversation_alone_behind_the_prefix() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 9, 8) for heads in (4, 2, 2))
    packed, _ = shared_prefix_attention(
        torch.nn.Identity(), query, key, value, None, scaling=0.3, row_lengths=(3, 4, 2)
    )
    for start, stop in ((3, 7), (7, 9)):
        picks = [0, 1, 2, *range(start, stop)]
        alone, _ = shared_prefix_attention(
            torch.nn.Identity(), query[:, :, picks], key[:, :, picks], value[:, :, picks], None, scaling=0.3
        )
        torch.testing.assert_close(packed[:, start:stop], alone[:, 3:])


def test_loss_equals_torchs_own_and_so_does_its_gradient() -> None:
    torch.manual_seed(0)
    hidden_NH = torch.randn(700, 16, dtype=torch.float64, requires_grad=True)
    head_VH, labels_N = torch.randn(50, 16, dtype=torch.float64), torch.randint(50, (700,))
    ours = linear_cross_entropy(hidden_NH, head_VH, labels_N)
    (ours.mean() * 3).backward()
    gradient = hidden_NH.grad
    hidden_NH.grad = None
    theirs = F.cross_entropy(hidden_NH @ head_VH.T, labels_N, reduction="none")
    (theirs.mean() * 3).backward()
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, hidden_NH.grad)


def difference(low: float, high: float, before: float = 1.5) -> Difference:
    return Difference(before, before + (low + high) / 2, low, high, 20)


@pytest.mark.parametrize(
    ("heldout", "general", "count", "verdict"),
    [
        (difference(-0.2, -0.1), difference(-0.01, 0.02, 0.5), 20, "promoted"),
        (difference(-0.2, 0.01), difference(-0.01, 0.02, 0.5), 20, "rejected"),
        (difference(0.1, 0.2), difference(0.01, 0.02, 0.5), 20, "rejected"),
        (difference(-0.2, -0.1), difference(-0.05, -0.02, 0.5), 20, "rejected"),
        (difference(-0.2, -0.1), difference(-0.01, 0.02, 0.5), 3, "kept"),
        (None, difference(-0.01, 0.02, 0.5), 0, "kept"),
        (difference(-0.2, -0.1), None, 20, "kept"),
    ],
)
def test_gate(heldout: Difference | None, general: Difference | None, count: int, verdict: str) -> None:
    measured = {"heldout": heldout, "general": general}
    differences = {name: found for name, found in measured.items() if found is not None}
    decided = verdict_on(Scores(heldout_bytes=[80] * count), differences, DistillConfig(heldout_min=8))
    assert decided.verdict == verdict
    assert decided.reasons


def test_bootstrap_finds_a_difference_and_does_not_invent_one() -> None:
    before, sizes = [float(100 + i % 7) for i in range(40)], [80.0] * 40
    better = paired_difference(before, [b - 5 for b in before], sizes, resamplings=1000, seed=1)
    assert better.high < 0
    assert better.mean == pytest.approx(-5 / 80)
    same = paired_difference(before, [b + (-1) ** i for i, b in enumerate(before)], sizes, resamplings=1000, seed=1)
    assert same.low < 0 < same.high
