"""The loss of a row against hand-made sums, its signals put together, and the trainer with each kind of them."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_trainer import PREFIXES, examples, tiny_student
from transformers import LlamaConfig, LlamaForCausalLM

from distill.attention import NAME, register
from distill.config import DistillConfig, load_config
from distill.layer_teacher import LayerTeacher, looked
from distill.losses.byte_alignment import align
from distill.losses.soft_targets import SoftTargets
from distill.objective import Pieces, RowSignals, Soft, row_loss
from distill.row_signals import ExampleSignals, concatenated, row_signals, unknown
from distill.rows import schedule
from distill.trainer import HINTS_NAME, KDTrainer, Watch, checkpoints, make_trainer
from memory.errors import TrainingError, UsageError

N, H, V, K = 7, 8, 20, 6
TEMPERATURES = (2.0, 5.0)


def soft_targets(logits_NV: torch.Tensor, labels_N: torch.Tensor, k: int = K) -> SoftTargets:
    logprobs_NV = logits_NV.log_softmax(-1)
    top = logprobs_NV.topk(k, dim=1)
    partitions = [(logprobs_NV / t).logsumexp(-1) for t in TEMPERATURES]
    chosen_N = logprobs_NV.gather(1, labels_N[:, None])[:, 0]
    return SoftTargets(top.indices, top.values, torch.stack(partitions, dim=1), TEMPERATURES, chosen_N)


def problem(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    hidden_NH = torch.randn(N, H, generator=draw).requires_grad_()
    head_VH = torch.randn(V, H, generator=draw)
    labels_N = torch.randint(V, (N,), generator=draw)
    return hidden_NH, head_VH, labels_N, 2 * torch.randn(N, V, generator=draw)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_hard_and_soft_are_hintons_sum(temperature: float) -> None:
    """With k = V the sparse loss is a * CE + b * T^2 * KL, as torch computes it."""
    hidden_NH, head_VH, labels_N, teacher_NV = problem()
    config = DistillConfig(teacher="self", hard_weight=0.3, soft_weight=0.7, temperature=temperature)
    known_N = torch.ones(N, dtype=torch.bool)
    signals = RowSignals(soft=Soft(soft_targets(teacher_NV, labels_N, V), known_N))
    found = row_loss(hidden_NH, head_VH, labels_N, signals, config, step=0, steps=10)
    logits_NV = hidden_NH @ head_VH.T
    hard = torch.nn.functional.cross_entropy(logits_NV, labels_N)
    student, teacher = (x.div(temperature).log_softmax(-1) for x in (logits_NV, teacher_NV))
    soft = torch.nn.functional.kl_div(student, teacher, log_target=True, reduction="batchmean")
    torch.testing.assert_close(found.total, 0.3 * hard + 0.7 * temperature**2 * soft, rtol=1e-4, atol=1e-5)
    assert found.parts["hard"] == pytest.approx(float(hard), rel=1e-4)
    assert found.parts["soft"] == pytest.approx(float(soft), rel=1e-3)


def test_annealing_takes_the_temperature_of_the_step() -> None:
    hidden_NH, head_VH, labels_N, teacher_NV = problem()
    signals = RowSignals(soft=Soft(soft_targets(teacher_NV, labels_N), torch.ones(N, dtype=torch.bool)))
    annealed = DistillConfig(
        teacher="self", soft_weight=1, temperature=5, temperature_end=2, temperature_schedule="linear"
    )
    for step, temperature in ((0, 5.0), (9, 2.0)):
        fixed = DistillConfig(teacher="self", soft_weight=1, temperature=temperature)
        ours = row_loss(hidden_NH, head_VH, labels_N, signals, annealed, step=step, steps=10)
        theirs = row_loss(hidden_NH, head_VH, labels_N, signals, fixed, step=0, steps=10)
        torch.testing.assert_close(ours.total, theirs.total)


def test_where_no_teacher_was_asked_the_hard_label_counts_whole() -> None:
    hidden_NH, head_VH, labels_N, teacher_NV = problem()
    config = DistillConfig(teacher="self", hard_weight=0.25, soft_weight=0.75)
    soft = soft_targets(teacher_NV, labels_N)
    first = ExampleSignals(3, soft=soft.rows(slice(0, 3)))
    signals = row_signals({0: first, 1: ExampleSignals(N - 3)}, [0, 1])
    assert signals.soft is not None
    assert signals.soft.known_N.tolist() == [True] * 3 + [False] * (N - 3)
    found = row_loss(hidden_NH, head_VH, labels_N, signals, config, step=0, steps=1)
    nats_N = torch.nn.functional.cross_entropy(hidden_NH @ head_VH.T, labels_N, reduction="none")
    known = row_loss(hidden_NH[:3], head_VH, labels_N[:3], row_signals({0: first}, [0]), config, step=0, steps=1).total
    torch.testing.assert_close(found.total * N, known * 3 + nats_N[3:].sum(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("confidence", ["threshold", "smooth"])
def test_confidence_moves_weight_to_the_hard_loss_where_the_teacher_doubts(confidence: str) -> None:
    hidden_NH, head_VH, labels_N, _ = problem()
    doubting_NV, sure_NV = torch.zeros(N, V), torch.zeros(N, V)
    sure_NV[torch.arange(N), labels_N] = 20.0
    config = DistillConfig(teacher="self", hard_weight=0.5, soft_weight=0.5, confidence=confidence, confidence_boost=1)
    for logits_NV, hard, soft_weight in ((doubting_NV, 1.0, 0.0), (sure_NV, 0.5, 0.5)):
        signals = RowSignals(soft=Soft(soft_targets(logits_NV, labels_N, V), torch.ones(N, dtype=torch.bool)))
        found = row_loss(hidden_NH, head_VH, labels_N, signals, config, step=0, steps=1)
        whole = hard * found.parts["hard"] + soft_weight * found.parts["soft"]
        assert float(found.total.detach()) == pytest.approx(whole, rel=0.05)


def test_the_anchor_pulls_towards_the_base() -> None:
    hidden_NH, head_VH, labels_N, _ = problem()
    base_NV = (hidden_NH @ head_VH.T).detach()
    config = DistillConfig(anchor_weight=0.5)
    known_N = torch.ones(N, dtype=torch.bool)
    near = RowSignals(anchor=Soft(soft_targets(base_NV, labels_N, V), known_N))
    far = RowSignals(anchor=Soft(soft_targets(-base_NV, labels_N, V), known_N))
    at_base = row_loss(hidden_NH, head_VH, labels_N, near, config, step=0, steps=1)
    away = row_loss(hidden_NH, head_VH, labels_N, far, config, step=0, steps=1)
    assert at_base.parts["anchor"] == pytest.approx(0, abs=1e-5)
    assert float(away.total - at_base.total) == pytest.approx(0.5 * away.parts["anchor"], rel=1e-4)


def test_pieces_of_replies_are_numbered_one_after_the_other() -> None:
    first = align([2, 5], [1, 2, 5])
    second = align([3], [3, 3])  # the last token has no bytes: it ends the turn
    joined = Pieces.join([(first, torch.tensor([-1.0, -2.0])), (second, torch.tensor([-4.0]))])
    assert joined.student_N.tolist() == [0, 0, 1, 2, -1]
    assert joined.teacher_logprobs_X.tolist() == [-1.0, -2.0, -4.0]


def test_a_teacher_of_another_vocabulary_is_matched_by_pieces() -> None:
    """A student that finds every piece as likely as the teacher loses nothing, and the loss points there."""
    hidden_NH, head_VH, labels_N, _ = problem()
    nats_N = torch.nn.functional.cross_entropy(hidden_NH @ head_VH.T, labels_N, reduction="none").detach()
    student_N = torch.tensor([0, 0, 1, 2, 2, 2, -1])
    own_X = torch.stack([-nats_N[student_N == piece].sum() for piece in range(3)])
    config = DistillConfig(teacher="other", hard_weight=0.0, likelihood_weight=1.0)
    same = row_loss(hidden_NH, head_VH, labels_N, RowSignals(pieces=Pieces(student_N, own_X)), config, step=0, steps=1)
    other = row_loss(
        hidden_NH, head_VH, labels_N, RowSignals(pieces=Pieces(student_N, own_X - 2)), config, step=0, steps=1
    )
    assert float(same.total.detach()) == pytest.approx(0, abs=1e-3)
    assert other.parts["likelihood"] > 0.01
    (gradient_NH,) = torch.autograd.grad(other.total, hidden_NH)
    assert gradient_NH[-1].abs().sum() == 0  # in no piece, and no hard label
    assert all(row.abs().sum() > 0 for row in gradient_NH[:-1])


def test_two_tasks_have_their_own_means() -> None:
    hidden_NH, head_VH, labels_N, _ = problem()
    config = DistillConfig(rationale="two-task", explain_weight=0.5)
    signals = row_signals({0: ExampleSignals(2), 1: ExampleSignals(N - 2, is_rationale=True)}, [0, 1])
    found = row_loss(hidden_NH, head_VH, labels_N, signals, config, step=0, steps=1)
    nats_N = torch.nn.functional.cross_entropy(hidden_NH @ head_VH.T, labels_N, reduction="none")
    torch.testing.assert_close(found.total, nats_N[:2].mean() + 0.5 * nats_N[2:].mean(), rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 12))
def test_unknown_places_are_valid_at_every_temperature(positions: int, k: int) -> None:
    like = soft_targets(torch.randn(3, V), torch.zeros(3, dtype=torch.int64), k)
    made = unknown(positions, like)
    for temperature in (1.0, 2.0, 3.0, 5.0):
        events = made.at(temperature).events(V)
        assert torch.isfinite(events).all()
        torch.testing.assert_close(events.exp().sum(1), torch.ones(positions), rtol=1e-4, atol=1e-4)
    assert len(concatenated([like, made])) == 3 + positions


# -- the trainer ---------------------------------------------------------------------------------------------------


def big_teacher(heads: int = 4, width: int = 48, vocabulary: int = 64) -> LlamaForCausalLM:
    register()
    torch.manual_seed(9)
    shape = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=heads,
        num_key_value_heads=2,
        initializer_range=0.3,
        attn_implementation=NAME,
    )
    return LlamaForCausalLM(shape)


def train(folder: Path, config: DistillConfig, *, stop_after: int = 0, resume: bool = False) -> KDTrainer:
    lessons, student = examples(), tiny_student(config)
    rows = schedule([len(e.tokens) for e in lessons], [6, 2], epochs=3, row_tokens=96, identity_share=0.5, seed=1)
    steps: list[float] = []
    watch = Watch(0, lambda _step, loss, _s: steps.append(loss), lambda: 0 < stop_after <= len(steps) + 1)
    layers = LayerTeacher(student.base, big_teacher(), config) if config.uses_layers else None
    made = make_trainer(student, rows, lessons, PREFIXES, config, folder, watch, layers=layers)
    made.train(resume_from_checkpoint=str(checkpoints(folder)[0]) if resume else None)
    return made


LAYERS = {"lora_rank": 4, "learning_rate": 1e-2, "checkpoint_s": 0.0, "layer_teacher": "base", "layer_map": "uniform"}


@pytest.mark.parametrize("weight", ["hidden_weight", "attention_weight", "value_relation_weight"])
def test_layers_are_drawn_towards_the_teachers(tmp_path: Path, weight: str) -> None:
    made = train(tmp_path, DistillConfig(**LAYERS, **{weight: 3.0}))
    name = f"loss_{weight.removesuffix('_weight')}"
    curve = [entry[name] for entry in made.state.log_history if name in entry]
    assert len(curve) == made.state.max_steps
    assert sum(curve[-3:]) < sum(curve[:3])
    for entry in made.state.log_history:
        if name in entry:
            assert entry["loss"] == pytest.approx(entry["loss_hard"] + 3.0 * entry[name], rel=1e-3)


def test_the_scores_that_are_matched_are_those_of_the_attention(tmp_path: Path) -> None:
    """What a layer keeps is its own queries and keys: softmax of the scores times the values gives its output."""
    config = DistillConfig(**LAYERS, attention_weight=1.0)
    student = tiny_student(config)
    layer = LayerTeacher(student.base, big_teacher(), config)
    assert layer.pairs == ((1, 2), (2, 4))
    ids = torch.arange(2, 12)[None]
    caught: list[torch.Tensor] = []
    hook = student.base.model.layers[0].self_attn.o_proj.register_forward_pre_hook(lambda _m, x: caught.append(x[0]))
    with torch.no_grad():
        student.base.model(input_ids=ids, position_ids=torch.arange(10)[None], row_lengths=(0, 10))
    hook.remove()
    kept = looked(student.base, 1)
    key, value = (x.repeat_interleave(2, dim=1) for x in (kept.key_BKSD, kept.value_BKSD))
    scores = kept.query_BHSD @ key.transpose(2, 3) * kept.scaling
    scores = scores.masked_fill(torch.ones(10, 10, dtype=torch.bool).triu(1), float("-inf"))
    torch.testing.assert_close((scores.softmax(-1) @ value).transpose(1, 2).reshape(1, 10, -1), caught[0])


def test_hint_projections_survive_a_resume(tmp_path: Path) -> None:
    config = DistillConfig(**LAYERS, hidden_weight=1.0)
    whole = train(tmp_path / "whole", config)
    train(tmp_path / "cut", config, stop_after=4)
    (saved, *_) = checkpoints(tmp_path / "cut")
    assert (saved / HINTS_NAME).exists()
    resumed = train(tmp_path / "cut", config, resume=True)
    for ours, theirs in zip(
        whole.layers.projections.parameters(), resumed.layers.projections.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_layers_that_cannot_be_matched_are_one_clear_line() -> None:
    student = tiny_student()
    with pytest.raises(TrainingError, match="one vocabulary only"):
        LayerTeacher(student.base, big_teacher(vocabulary=70), DistillConfig(**LAYERS, hidden_weight=1.0))
    with pytest.raises(TrainingError, match="use value_relation_weight"):
        LayerTeacher(student.base, big_teacher(heads=6), DistillConfig(**LAYERS, attention_weight=1.0))
    with pytest.raises(TrainingError, match="layer_map"):
        LayerTeacher(student.base, big_teacher(), DistillConfig(**{**LAYERS, "layer_map": "L9-L1"}, hidden_weight=1.0))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (["soft_weight=0.5"], "need a teacher"),
        (["teacher=self"], "would teach nothing"),
        (["hidden_weight=1"], "need layer_teacher"),
        (["layer_teacher=base"], "would teach nothing"),
        (["hard_weight=0"], "nothing to learn"),
        (["divergence=kl"], "divergence"),
        (["twin=maybe"], "twin is bool"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(settings_: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_config("", settings_)


def test_the_twin_learns_by_hard_labels_alone() -> None:
    config = load_config("", ["teacher=self", "soft_weight=0.5", "anchor_weight=0.1", "epochs=2", "rationale=two-task"])
    twin = config.hard_label_twin()
    assert config.soft
    assert not twin.soft
    assert (twin.epochs, twin.seed, twin.hard_weight) == (2, config.seed, 1.0)
