"""A checkpoint paired with a GGUF: told apart from what it is no pair of; trained, exported, and run by llama.cpp."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import llama_cpp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from tiny_llama import WORDS, Pair, make_pair
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill.attention import NAME
from distill.config import DistillConfig, load_config
from distill.dataset import Example
from distill.export.adapter import export_adapter
from distill.rows import schedule
from distill.student import Student
from distill.students.checkpoint import load_checkpoint
from distill.students.choose import make_student
from distill.students.pairing import Facts, check_pair, differences, facts_of_gguf, rendered
from distill.trainer import Watch, make_trainer
from memory.errors import TrainingError
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.protocol import Segment

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = DistillConfig(lora_rank=4, learning_rate=1e-2, warmup_share=0.1, epochs=4)
LESSONS = (
    "The tide turns at six, and the ferry waits for nobody.",
    "Keep the lamp lit, and count the boats when they come in.",
    "He wrote the letter twice, and sent neither of them.",
    "Bread first, then the argument about the bread.",
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, prepared_models: Path) -> Pair:
    return make_pair(tmp_path_factory.mktemp("pair"), next(prepared_models.glob("*.gguf")))


def lessons(checkpoint: Path) -> list[Example]:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    made = []
    for text in LESSONS:
        ids = tuple(tokenizer(text)["input_ids"])
        made.append(Example(text, ids, tuple(i > 1 for i in range(len(ids))), (), ""))
    return made


def train(student: Student, pair: Pair, config: DistillConfig, folder: Path) -> list[float]:
    examples, losses = lessons(pair.checkpoint), []
    sizes = [len(e.tokens) for e in examples]
    rows = schedule(sizes, [3, 2], epochs=config.epochs, row_tokens=max(sizes) + 3, identity_share=0.5, seed=1)
    watch = Watch(1e9, lambda _step, loss, _s: losses.append(loss), lambda: False)
    make_trainer(student, rows, examples, ((5, 6, 7), (5, 6)), config, folder, watch).train()
    return losses


def llama_logits(model: Path, adapter: Path | None, ids: list[int]) -> np.ndarray:
    """(S, V) of llama.cpp itself."""
    llama = llama_cpp.Llama(
        str(model), lora_path=str(adapter) if adapter else None, logits_all=True, n_ctx=256, verbose=False
    )
    llama.eval(ids)
    found = llama.scores[: len(ids)].copy()
    llama.close()
    return found


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_an_adapter_trained_on_the_checkpoint_runs_on_the_gguf(
    pair: Pair, make_home: Callable[..., Home], tmp_path: Path, quantization: str
) -> None:
    """LoRA and QLoRA through training, export and llama.cpp: the same logits as torch gives."""
    config = replace(CONFIG, checkpoint=str(pair.checkpoint), quantization=quantization)
    student = make_student(pair.model.path, config)
    losses = train(student, pair, config, tmp_path / "checkpoints")
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    student.model.save_pretrained(tmp_path / "adapter")
    adapter = tmp_path / "adapter.gguf"
    export_adapter(tmp_path / "adapter", adapter, student.base.config)

    example = lessons(pair.checkpoint)[0]
    ids = list(example.tokens)
    # On the weights that run: the checkpoint in full, with the adapter (trained on 4-bit weights, or on these).
    whole = AutoModelForCausalLM.from_pretrained(pair.checkpoint)
    with torch.no_grad():
        base_SV = whole(torch.tensor([ids])).logits[0].numpy()
        torch_SV = PeftModel.from_pretrained(whole, tmp_path / "adapter")(torch.tensor([ids])).logits[0].numpy()
    llama_SV = llama_logits(pair.model.path, adapter, ids)
    assert cosine(llama_SV, torch_SV) >= 0.999
    # What the adapter changes, not only what the base says anyway.
    assert cosine(llama_SV - llama_logits(pair.model.path, None, ids), torch_SV - base_SV) >= 0.99

    with EngineClient(pair.model, home=make_home(with_models=False), context_tokens=256) as engine:
        text = [Segment("The tide"), Segment(example.conversation.removeprefix("The tide"), target=True)]
        before = engine.score(text).nats[0]
        engine.swap(adapter)
        assert engine.score(text).nats[0] < 0.9 * before


def test_four_bit_weights_are_four_bits_and_frozen(pair: Pair) -> None:
    config = replace(CONFIG, checkpoint=str(pair.checkpoint), quantization="nf4")
    student = load_checkpoint(str(pair.checkpoint), pair.model.path, config, torch.bfloat16)
    linear = student.base.model.layers[0].mlp.down_proj.base_layer
    assert type(linear).__name__ == "Linear4bit"
    assert linear.weight.quant_state.quant_type == "nf4"
    assert linear.weight.quant_state.nested
    assert linear.compute_dtype is torch.bfloat16
    assert student.base.config._attn_implementation == NAME
    trained = {name for name, weight in student.model.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)


def test_checkpointed_activations_give_the_same_training(pair: Pair, tmp_path: Path) -> None:
    plain = replace(CONFIG, checkpoint=str(pair.checkpoint), epochs=2)
    spared = replace(plain, gradient_checkpointing=True)
    first = train(make_student(pair.model.path, plain), pair, plain, tmp_path / "a")
    student = make_student(pair.model.path, spared)
    second = train(student, pair, spared, tmp_path / "b")
    assert student.base.model.layers[0].gradient_checkpointing
    assert second == pytest.approx(first, rel=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a CUDA device it is an optimizer")
def test_the_recipe_for_8b_says_what_it_needs(pair: Pair) -> None:
    config = load_config("qlora-8b", [f"checkpoint={pair.checkpoint}"])
    assert config.quantization == "nf4"
    with pytest.raises(TrainingError, match="needs a CUDA device; without one: --set optimizer=adamw"):
        make_student(pair.model.path, config)
    student = make_student(pair.model.path, replace(config, optimizer="adamw"), torch.bfloat16)
    assert student.head_VH.dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"layers": 2}, "layers: 2 and 3"),
        ({"seed": 2}, "other weights"),
    ],
)
def test_what_is_no_pair_is_named(pair: Pair, tmp_path: Path, changes: dict[str, int], named: str) -> None:
    wrong = make_pair(tmp_path / "wrong", pair.model.path, **changes)
    with pytest.raises(TrainingError) as caught:
        load_checkpoint(str(wrong.checkpoint), pair.model.path, CONFIG)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_template_or_vocabulary_is_named(pair: Pair, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pair.checkpoint, copy)
    check_pair(str(copy), pair.model.path)
    tokenizer = AutoTokenizer.from_pretrained(copy)
    tokenizer.chat_template = str(tokenizer.chat_template).replace("<|im_end|>", "</turn>")
    tokenizer.save_pretrained(copy)
    with pytest.raises(TrainingError, match=r"chat template: .*</turn>"):
        check_pair(str(copy), pair.model.path)
    path = copy / "tokenizer.json"
    whole = json.loads(path.read_text())
    words = whole["model"]["vocab"]
    words["Ġthe"], words["Ġof"] = words["Ġof"], words["Ġthe"]
    path.write_text(json.dumps(whole))
    with pytest.raises(TrainingError, match=r"token [0-9]+: .* of the sampled"):
        check_pair(str(copy), pair.model.path)
    (copy / "config.json").unlink()
    with pytest.raises(TrainingError, match="no checkpoint that transformers loads"):
        check_pair(str(copy), pair.model.path)


FACTS = st.builds(
    Facts,
    st.sampled_from(["llama", "qwen2"]),
    st.dictionaries(st.sampled_from(["layers", "width", "heads"]), st.integers(1, 9).map(float)),
    st.dictionaries(st.integers(0, 9), st.text(max_size=2), max_size=4),
    st.sampled_from(["", "<a>S", "<b>S"]),
)


@given(FACTS, FACTS)
def test_differences_are_those_there_are(ours: Facts, theirs: Facts) -> None:
    assert differences(ours, ours) == []
    assert bool(differences(ours, theirs)) == bool(differences(theirs, ours))
    named = "; ".join(differences(ours, theirs))
    assert ("architecture" in named) == (ours.architecture != theirs.architecture)
    for words in ours.numbers.keys() & theirs.numbers.keys():
        assert (f"{words}:" in named) == (ours.numbers[words] != theirs.numbers[words])


def test_facts_of_a_gguf(pair: Pair) -> None:
    facts = facts_of_gguf(pair.model.path)
    assert facts.architecture == "llama"
    assert facts.numbers["layers"] == 3
    assert facts.numbers["key-value heads"] == 2
    assert facts.numbers["vocabulary"] == WORDS
    assert facts.prompt.endswith("<|im_start|>assistant\n")
    assert len(facts.tokens) >= 512
    assert rendered("{{ strftime_now('%d') }}") == "{{ strftime_now('%d') }}"
