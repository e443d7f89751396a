"""Merging an adapter into its base as GGUF: equal to torch's own merge, refused where the two do not fit."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tiny_llama import make_pair, tiny_config
from tiny_molt import TinyMolt, make_tiny_molt, random_adapter
from transformers import LlamaForCausalLM

from distill.export.adapter import export_adapter
from distill.export.agreement import agreement
from distill.export.checkpoint import Checkpoint, torch_logits
from distill.export.gguf_file import BASE_KEY, float_tensor, metadata, open_gguf
from distill.export.merge import adapter_pairs, merge_adapter
from distill.export.probe import probe
from distill.export.whole import write_gguf
from memory.errors import EngineError, ModelError, TrainingError
from memory.home import Home
from molting_agent.runtime.models import embedded_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def molt(tmp_path_factory: pytest.TempPathFactory, words_of: Path) -> TinyMolt:
    home = Home(tmp_path_factory.mktemp("tiny"))
    home.make_folders()
    return make_tiny_molt(home, words_of)


def test_the_merged_file_computes_what_torch_computes(molt: TinyMolt, tmp_path: Path) -> None:
    target, log = tmp_path / "merged.gguf", tmp_path / "log"
    source = molt.source
    assert source.adapter is not None
    parts: list[int] = []
    size = merge_adapter(
        source.weights, source.adapter, target, source.metadata, on_part=lambda done, _all: parts.append(done)
    )
    assert size == target.stat().st_size
    assert parts == list(range(1, len(open_gguf(target).tensors) + 1))
    written = probe(target, None, log)
    expected = torch_logits(Checkpoint(molt.merged, None), written.ids)
    assert agreement(expected, written.whole).cosine > 0.9999
    speaking = probe(source.weights, source.adapter, log)
    assert agreement(speaking.whole, written.whole).cosine > 0.9999
    assert speaking.ids == written.ids
    assert speaking.texts == written.texts
    # The adapter matters: without it, nothing above would have shown that it is in the file.
    assert agreement(probe(source.weights, None, log).whole, written.whole).cosine < 0.9


def test_metadata_and_tokenizer_are_kept(molt: TinyMolt, tmp_path: Path) -> None:
    target = tmp_path / "merged.gguf"
    merge_adapter(molt.source.weights, molt.source.adapter, target, molt.source.metadata)
    before, after = open_gguf(molt.source.weights), open_gguf(target)
    changed = {"general.name", "general.file_type"}
    for field in before.fields.values():
        if not field.name.startswith("GGUF.") and field.name not in changed:
            assert metadata(after, field.name) == field.contents()
            assert after.fields[field.name].types == field.types
    assert metadata(after, BASE_KEY) == molt.source.model.source_sha256
    assert metadata(after, "general.name") == "tiny, molt 1"
    kinds = {tensor.tensor_type for tensor in after.tensors}
    assert kinds == {gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32}


def test_alpha_zero_means_no_scaling_as_in_llama_cpp(molt: TinyMolt, tmp_path: Path) -> None:
    assert molt.source.adapter is not None
    pairs, alpha = adapter_pairs(molt.source.adapter)
    plain = rewritten(tmp_path / "plain.gguf", pairs, alpha=0.0)
    merge_adapter(molt.source.weights, plain, tmp_path / "merged.gguf", {})
    name = "blk.1.ffn_up.weight"
    base_OI, merged_OI = (
        float_tensor(next(t for t in open_gguf(path).tensors if t.name == name))
        for path in (molt.source.weights, tmp_path / "merged.gguf")
    )
    a_RI, b_OR = pairs[name]
    np.testing.assert_allclose(merged_OI - base_OI, b_OR.astype(np.float32) @ a_RI.astype(np.float32), atol=2e-3)
    assert alpha == pytest.approx(24)


def rewritten(path: Path, pairs: dict[str, tuple[np.ndarray, np.ndarray]], *, alpha: float, kind: str = "lora") -> Path:
    """An adapter file of these pairs; a side that is empty is left out."""
    writer = gguf.GGUFWriter(path, arch="llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, kind)
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for name, halves in pairs.items():
        for side, half in zip("ab", halves, strict=True):
            if half.size:
                writer.add_tensor(f"{name}.lora_{side}", np.ascontiguousarray(half))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_adapter_of_another_base_is_refused_by_name(molt: TinyMolt, tmp_path: Path) -> None:
    assert molt.source.adapter is not None
    pairs, alpha = adapter_pairs(molt.source.adapter)
    a_RI, b_OR = pairs["blk.0.attn_q.weight"]
    cases = {
        "has no blk.9.attn_q.weight": {"blk.9.attn_q.weight": (a_RI, b_OR)},
        "blk.0.attn_q.weight is for 60 x 64": {"blk.0.attn_q.weight": (a_RI, b_OR[:60])},
        "blk.0.attn_q.weight lacks half": {"blk.0.attn_q.weight": (a_RI, np.empty((0, 0), np.float16))},
    }
    target = tmp_path / "merged.gguf"
    for number, (message, wrong) in enumerate(cases.items()):
        path = rewritten(tmp_path / f"{number}.gguf", wrong, alpha=alpha)
        with pytest.raises(TrainingError, match=message):
            merge_adapter(molt.source.weights, path, target, {})
    with pytest.raises(TrainingError, match="not a LoRA adapter"):
        adapter_pairs(rewritten(tmp_path / "other.gguf", {}, alpha=alpha, kind="ia3"))
    with pytest.raises(TrainingError, match="not a LoRA adapter"):
        adapter_pairs(molt.source.weights)
    with pytest.raises(ModelError, match="no such model file"):
        adapter_pairs(tmp_path / "missing.gguf")
    assert not target.exists()


def test_weights_that_half_precision_cannot_hold_are_refused(molt: TinyMolt, tmp_path: Path) -> None:
    assert molt.source.adapter is not None
    pairs, alpha = adapter_pairs(molt.source.adapter)
    a_RI, b_OR = pairs["blk.0.attn_q.weight"]
    for number, factor in enumerate((6e4, np.nan)):
        broken = {"blk.0.attn_q.weight": (np.full_like(a_RI, 500), np.full_like(b_OR, factor))}
        path = rewritten(tmp_path / f"{number}.gguf", broken, alpha=alpha)
        with pytest.raises(TrainingError, match=r"blk\.0\.attn_q\.weight holds values that f16 cannot"):
            merge_adapter(molt.source.weights, path, tmp_path / "merged.gguf", {})
    assert not [path for path in tmp_path.iterdir() if "merged" in path.name]


@pytest.mark.parametrize("tied", [True, False])
def test_a_student_trained_whole_with_fewer_layers_is_written(words_of: Path, tmp_path: Path, tied: bool) -> None:
    base = make_pair(tmp_path / "base", words_of, tied=tied).model.path
    student = LlamaForCausalLM(tiny_config(tied=tied, layers=2, seed=9)).eval()
    target = tmp_path / "student.gguf"
    write_gguf(student.state_dict(), student.config, base, target, {"general.name": "cut"})
    written = probe(target, None, tmp_path / "log")
    expected = torch_logits(Checkpoint(student, None), written.ids)
    assert agreement(expected, written.whole).cosine > 0.9999
    assert metadata(open_gguf(target), "llama.block_count") == 2
    assert len(open_gguf(target).tensors) == 2 * 9 + (2 if tied else 3)


def test_a_tied_student_fits_a_base_with_a_head_of_its_own(words_of: Path, tmp_path: Path) -> None:
    base = make_pair(tmp_path / "base", words_of, tied=False).model.path
    student = LlamaForCausalLM(tiny_config(tied=True, seed=9)).eval()
    state = {name: weight for name, weight in student.state_dict().items() if name != "lm_head.weight"}
    write_gguf(state, student.config, base, tmp_path / "student.gguf")
    written = probe(tmp_path / "student.gguf", None, tmp_path / "log")
    assert agreement(torch_logits(Checkpoint(student, None), written.ids), written.whole).cosine > 0.9999


def test_a_student_of_another_shape_is_refused(molt: TinyMolt, tmp_path: Path) -> None:
    base = molt.pair.model.path
    student = LlamaForCausalLM(tiny_config(tied=True))
    state, config, target = student.state_dict(), student.config, tmp_path / "student.gguf"
    config.model_type = "gpt2"
    with pytest.raises(TrainingError, match="how gpt2 is written as GGUF is not known"):
        write_gguf(state, config, base, target)
    config.model_type = "qwen2"
    with pytest.raises(TrainingError, match=r"of kind qwen2, and tiny\.gguf is llama"):
        write_gguf(state, config, base, target)
    config.model_type, config.num_hidden_layers = "llama", 4
    with pytest.raises(TrainingError, match=r"4 layers, and tiny\.gguf only 3"):
        write_gguf(state, config, base, target)
    config.num_hidden_layers = 3
    short = {name: weight for name, weight in state.items() if name != "model.norm.weight"}
    with pytest.raises(TrainingError, match=r"output_norm\.weight is 64 in tiny\.gguf, and the student has none"):
        write_gguf(short, config, base, target)
    with pytest.raises(TrainingError, match=r"model\.surprise\.weight has no place"):
        write_gguf({**state, "model.surprise.weight": torch.zeros(2)}, config, base, target)
    with pytest.raises(TrainingError, match=r"no place for the student's output\.weight"):
        write_gguf({**state, "lm_head.weight": torch.zeros(2048, 64)}, config, base, target)
    assert not target.exists()


def test_llama_cpp_refusing_a_file_is_one_line(tmp_path: Path) -> None:
    broken = rewritten(tmp_path / "broken.gguf", {"blk.0.x.weight": (np.ones((1, 1)), np.ones((1, 1)))}, alpha=1)
    with pytest.raises(EngineError, match=r"llama\.cpp does not run this model; its reasons are in"):
        probe(broken, None, tmp_path / "log")


@pytest.mark.slow
def test_the_shipped_molt_merges_into_the_embedded_model(home: Home, tmp_path: Path) -> None:
    base, log = embedded_model(home).path, tmp_path / "log"
    adapter = Path("identity/molt-0001/adapter.gguf")
    merge_adapter(base, adapter, tmp_path / "merged.gguf", {})
    speaking, written = probe(base, adapter, log), probe(tmp_path / "merged.gguf", None, log)
    assert agreement(speaking.whole, written.whole).cosine > 0.995
    assert agreement(probe(base, None, log).whole, written.whole).cosine < 0.98


def test_adapters_permuted_for_llama_cpp_stay_so(molt: TinyMolt, tmp_path: Path) -> None:
    """An adapter exported without the permutation of q and k would merge into other weights than torch's."""
    model = LlamaForCausalLM.from_pretrained(molt.pair.checkpoint)
    adapted = random_adapter(model)
    adapted.save_pretrained(tmp_path / "peft")
    config = adapted.config
    config.num_attention_heads = config.num_key_value_heads = 1  # permutes as if there were one head
    export_adapter(tmp_path / "peft", tmp_path / "wrong.gguf", config)
    merge_adapter(molt.source.weights, tmp_path / "wrong.gguf", tmp_path / "merged.gguf", {})
    written = probe(tmp_path / "merged.gguf", None, tmp_path / "log")
    assert agreement(torch_logits(Checkpoint(molt.merged, None), written.ids), written.whole).cosine < 0.999
