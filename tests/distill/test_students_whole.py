"""Students trained whole and students cut in layers: their gradients, their layers, and what is written of them."""

import itertools
from dataclasses import replace
from pathlib import Path

import llama_cpp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_llama import make_pair, tiny_config
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from distill.attention import NAME, register
from distill.config import DistillConfig, from_dict
from distill.dataset import Example
from distill.export.whole import write_gguf
from distill.objective import RowSignals, row_loss
from distill.rows import IGNORED, pack, schedule
from distill.student import Student
from distill.students.choose import make_student
from distill.students.layer_cut import cut_layers, kept_layers
from distill.students.whole import optimizer_bytes, runnable_state, train_whole
from distill.trainer import Watch, make_trainer
from memory.errors import TrainingError, UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = DistillConfig(student="whole", learning_rate=3e-3, warmup_share=0.1)
PREFIX = (5, 6, 7)


def tiny_model(*, tied: bool = True, layers: int = 3) -> LlamaForCausalLM:
    register()
    config = tiny_config(tied=tied, layers=layers)
    config._attn_implementation = NAME
    return LlamaForCausalLM(config)


def examples() -> list[Example]:
    made = []
    for first in range(10, 22):
        tokens = (9, first, *(first + i for i in range(1, 6)))
        made.append(Example(f"c{first}", tokens, (False, False, *[True] * 5), (), ""))
    return made


@given(st.integers(2, 80).flatmap(lambda layers: st.tuples(st.just(layers), st.integers(2, layers))))
def test_kept_layers_are_evenly_spaced_with_both_ends(case: tuple[int, int]) -> None:
    layers, keep = case
    taken = kept_layers(layers, keep)
    assert len(taken) == keep
    assert (taken[0], taken[-1]) == (0, layers - 1)
    gaps = [b - a for a, b in itertools.pairwise(taken)]
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1


def test_half_of_the_embedded_models_layers() -> None:
    assert kept_layers(30, 15) == (0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29)
    with pytest.raises(TrainingError, match="set 2 to 30"):
        kept_layers(30, 31)


def test_a_cut_student_is_its_teachers_layers() -> None:
    teacher = tiny_model(layers=5)
    student = tiny_model(layers=5)
    assert cut_layers(student, 3) == (0, 2, 4)
    assert student.config.num_hidden_layers == 3
    ours = student.state_dict()
    for name, weight in teacher.state_dict().items():
        if ".layers." not in name:
            torch.testing.assert_close(ours[name], weight, rtol=0, atol=0)
            continue
        head, number, rest = name.split(".layers.")[0], *name.split(".layers.")[1].split(".", 1)
        if int(number) in (0, 2, 4):
            torch.testing.assert_close(ours[f"{head}.layers.{int(number) // 2}.{rest}"], weight, rtol=0, atol=0)
    assert sum(p.numel() for p in student.parameters()) < sum(p.numel() for p in teacher.parameters())
    # Each layer finds its own keys in the cache.
    student.set_attn_implementation("sdpa")
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        whole_V = student(ids).logits[0, -1]
        kept = student(ids[:, :-1], use_cache=True).past_key_values
        torch.testing.assert_close(student(ids[:, -1:], past_key_values=kept).logits[0, -1], whole_V)


@pytest.mark.parametrize("tied", [True, False])
def test_every_weight_gets_the_gradient_that_torch_gives(tied: bool) -> None:
    """The loss beside the model, with a live head: as the stock model with its own cross-entropy."""
    stock, student = tiny_model(tied=tied), train_whole(tiny_model(tied=tied), CONFIG)
    packed = pack(PREFIX, examples()[:1])
    ids, labels_S = torch.tensor([packed.input_ids_S]), torch.tensor(packed.labels_S)
    logits_SV = stock(ids).logits[0]
    torch.nn.functional.cross_entropy(logits_SV, labels_S, ignore_index=IGNORED).backward()
    at_N = (labels_S != IGNORED).nonzero()[:, 0]
    hidden_NH = student.model(ids, logits_to_keep=at_N).logits[0]
    row_loss(hidden_NH, student.head_VH, labels_S[at_N], RowSignals(), CONFIG, step=0, steps=1).total.backward()
    ours = dict(student.model.named_parameters())
    assert ours.keys() == dict(stock.named_parameters()).keys()
    for name, weight in stock.named_parameters():
        torch.testing.assert_close(ours[name].grad, weight.grad, rtol=1e-4, atol=1e-6)


def train(student: Student, folder: Path, stop_after: int = 0) -> tuple[list[float], object]:
    losses: list[float] = []
    rows = schedule([7] * 12, [3, 3], epochs=4, row_tokens=24, identity_share=1.0, seed=1)
    watch = Watch(1e9, lambda _step, loss, _s: losses.append(loss), lambda: 0 < stop_after <= len(losses) + 1)
    trainer = make_trainer(student, rows, examples(), (PREFIX, PREFIX), CONFIG, folder, watch)
    trainer.train()
    return losses, trainer


@pytest.mark.parametrize("tied", [True, False])
def test_a_whole_student_learns_with_all_its_weights(tmp_path: Path, tied: bool) -> None:
    student = train_whole(tiny_model(tied=tied), CONFIG)
    before = {name: weight.clone() for name, weight in runnable_state(student).items()}
    losses, trainer = train(student, tmp_path)
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    after = runnable_state(student)
    assert ("lm_head.weight" in after) == (not tied)
    assert [name for name, weight in before.items() if torch.equal(weight, after[name])] == []
    held = sum(
        moment.numel() * moment.element_size()
        for state in trainer.optimizer.state.values()  # type: ignore[attr-defined]
        for name, moment in state.items()
        if name != "step"
    )
    assert held == optimizer_bytes(student, CONFIG)
    # What is written is a causal model that gives the student's own logits.
    student.model.save_pretrained(tmp_path / "whole")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    ids = torch.tensor([[*PREFIX, *examples()[0].tokens]])
    with torch.no_grad():
        hidden_SH = student.model(ids).logits[0]
        torch.testing.assert_close(loaded(ids).logits[0], hidden_SH @ student.head_VH.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("keep", [0, 2])
def test_a_whole_student_runs_as_it_was_trained(tmp_path: Path, prepared_models: Path, keep: int) -> None:
    """All layers, or a cut: trained, written as GGUF, and read by llama.cpp with the same logits."""
    base = make_pair(tmp_path / "base", next(prepared_models.glob("*.gguf")), tied=True).model.path
    config = replace(CONFIG, keep_layers=keep)
    student = make_student(base, config)
    train(student, tmp_path / "checkpoints")
    size = write_gguf(runnable_state(student), student.base.config, base, tmp_path / "model.gguf")
    ids = [*PREFIX, *examples()[0].tokens]
    with torch.no_grad():
        torch_SV = (student.model(torch.tensor([ids])).logits[0] @ student.head_VH.T).numpy()
    llama = llama_cpp.Llama(str(tmp_path / "model.gguf"), logits_all=True, n_ctx=64, verbose=False)
    llama.eval(ids)
    llama_SV = llama.scores[: len(ids)].copy()
    llama.close()
    assert (torch_SV * llama_SV).sum() / np.linalg.norm(torch_SV) / np.linalg.norm(llama_SV) > 0.999
    assert 2 * student.trainable_parameters < size < 2 * student.trainable_parameters + 400_000  # f16 and the words


@pytest.mark.slow
def test_a_cut_of_the_embedded_model_is_trained_whole(prepared_models: Path) -> None:
    config = from_dict({"student": "whole", "keep_layers": 15})
    student = make_student(next(prepared_models.glob("*.gguf")), config, torch.bfloat16)
    assert len(student.base.model.layers) == 15
    assert student.base.model.layers[0].mlp.up_proj.weight.dtype is torch.float32
    assert student.head_VH is student.base.model.embed_tokens.weight
    assert student.trainable_parameters == 134_515_008 - 15 * 3_540_096
    assert optimizer_bytes(student, config) == 8 * student.trainable_parameters


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"keep_layers": 15}, "student=whole"),
        ({"quantization": "nf4"}, "needs a checkpoint"),
        ({"quantization": "nf4", "checkpoint": "x", "student": "whole"}, "in 4 bits"),
        ({"student": "half"}, "student = 'half'"),
        ({"optimizer": "sgd"}, "optimizer = 'sgd'"),
    ],
)
def test_settings_that_make_no_student_are_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        from_dict(values)
