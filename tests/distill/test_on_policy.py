"""Learning from own replies on a tiny random Llama: what is asked, what is learnt, and that a stop loses nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_llama import tiny_config
from transformers import LlamaForCausalLM

from distill.attention import NAME, register
from distill.config import from_dict
from distill.dataset import Example
from distill.on_policy import learn_on_policy, prompts_of, replies_in, speaking
from distill.rows import Row
from distill.student import Student, adapt
from distill.trainer import Watch
from memory.errors import TrainingError, UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = from_dict(
    {
        "lora_rank": 8,
        "on_policy_teacher": "teacher.gguf",
        "on_policy_steps": 24,
        "on_policy_batch": 4,
        "on_policy_tokens": 8,
        "on_policy_learning_rate": 1e-2,
    }
)
PREFIXES = ((5, 6, 7), (5, 6))
END = 2
ROWS = [Row(0, (0, 1), 0), Row(1, (2, 3), 0), Row(0, (0, 2), 1)]


def examples() -> list[Example]:
    """Two turns each; every reply ends with the token that ends one."""
    made = []
    for first in (20, 30, 40, 50):
        tokens = (9, first, first + 1, END, 9, first + 2, first + 3, first + 4, END)
        made.append(Example(f"c{first}", tokens, (False, False, True, True, False, False, True, True, True), (), ""))
    return made


def tiny(seed: int, attention: str) -> LlamaForCausalLM:
    register()
    config = tiny_config(seed=seed)
    config._attn_implementation = attention
    config.initializer_range = 0.1
    return LlamaForCausalLM(config)


def tiny_student() -> Student:
    return adapt(tiny(1, NAME), CONFIG)


def weights(student: Student) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in student.model.named_parameters() if p.requires_grad}


def learn(student: Student, folder: Path, stop_after: int = 0) -> dict[str, object]:
    seen: list[int] = []
    watch = Watch(1e9, lambda step, _loss, _s: seen.append(step), lambda: 0 < stop_after <= len(seen) + 1)
    return learn_on_policy(student, tiny(2, "sdpa"), ROWS, examples(), PREFIXES, CONFIG, folder, watch)


def test_prompts_are_all_that_stands_before_a_reply_once() -> None:
    prompts, end = prompts_of(ROWS, examples(), PREFIXES)
    assert end == END
    assert prompts[:2] == [[5, 6, 7, 9, 20], [5, 6, 7, 9, 20, 21, END, 9, 22]]
    assert len(prompts) == 2 * 5  # conversation 2 under both system prompts, conversation 0 once
    assert len({tuple(prompt) for prompt in prompts}) == len(prompts)
    with pytest.raises(TrainingError, match="no reply"):
        prompts_of([], examples(), PREFIXES)


@given(st.lists(st.booleans(), max_size=20))
def test_replies_are_the_runs_of_targets(is_target: list[bool]) -> None:
    runs = replies_in(is_target)
    assert [i for start, stop in runs for i in range(start, stop)] == [i for i, t in enumerate(is_target) if t]
    assert all(not is_target[stop] for _start, stop in runs if stop < len(is_target))


def test_a_student_speaks_only_while_it_writes() -> None:
    student = tiny_student()
    ids = torch.tensor([[5, 6, 7, 9, 20]])
    with torch.no_grad():
        hidden_SH = student.model(ids).logits[0]
        with speaking(student):
            torch.testing.assert_close(student.model(ids).logits[0], hidden_SH @ student.head_VH.T)
            assert student.model.generate(input_ids=ids, max_new_tokens=3, do_sample=False).shape[1] > ids.shape[1]
        torch.testing.assert_close(student.model(ids).logits[0], hidden_SH)
    assert student.base.config._attn_implementation == NAME


def test_it_comes_nearer_to_its_teacher_and_resumes(tmp_path: Path) -> None:
    student = tiny_student()
    before = weights(student)
    measured = learn(student, tmp_path / "whole")
    losses = measured["losses"]
    assert isinstance(losses, list)
    assert len(losses) == CONFIG.on_policy_steps
    assert sum(losses[-6:]) < 0.9 * sum(losses[:6])
    assert any(not torch.equal(weight, before[name]) for name, weight in weights(student).items())

    assert learn(tiny_student(), tmp_path / "parts", stop_after=5) == {}
    resumed = learn(tiny_student(), tmp_path / "parts")
    assert isinstance(resumed["losses"], list)
    assert len(resumed["losses"]) == CONFIG.on_policy_steps
    assert sum(resumed["losses"][-6:]) < 0.9 * sum(resumed["losses"][:6])


def test_what_cannot_judge_is_named(tmp_path: Path) -> None:
    other = tiny(2, "sdpa")
    other.config.vocab_size = 99
    watch = Watch(1e9, lambda _step, _loss, _s: None, lambda: False)
    with pytest.raises(TrainingError, match=r"has 99 tokens and the student 2,048: .*set another on_policy_teacher"):
        learn_on_policy(tiny_student(), other, ROWS, examples(), PREFIXES, CONFIG, tmp_path, watch)
    with pytest.raises(UsageError, match="go together"):
        from_dict(replace(CONFIG, on_policy_teacher="").to_dict())
