"""A tiny random grouped-query Llama in both forms: a transformers checkpoint and the GGUF of the same weights."""

from pathlib import Path
from typing import Any, NamedTuple

import gguf
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from distill.export.adapter import permute
from molting_agent.runtime.models import ModelFile, describe

WORDS = 2048
# Shared by both files: transformers' name of a layer's weight -> llama.cpp's.
LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
TOKENIZER = ("model", "pre", "bos_token_id", "eos_token_id", "unknown_token_id", "add_bos_token", "add_space_prefix")


class Pair(NamedTuple):
    """The two forms of one base."""

    checkpoint: Path
    model: ModelFile


def tiny_config(*, tied: bool = False, layers: int = 3, seed: int = 1) -> LlamaConfig:
    """4 heads over 2 key-value heads, 64 wide: the smallest in which a wrong permutation shows."""
    torch.manual_seed(seed)
    return LlamaConfig(
        vocab_size=WORDS,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
    )


def make_pair(folder: Path, words_of: Path, *, tied: bool = False, layers: int = 3, seed: int = 1) -> Pair:
    """A new random base in ``folder``; its tokenizer is the first words of the one in the GGUF ``words_of``."""
    model = LlamaForCausalLM(tiny_config(tied=tied, layers=layers, seed=seed))
    with torch.no_grad():  # norms that differ from one another and from 1, as a trained model has them
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.gguf"
    write_gguf(model, path, words_of)
    checkpoint = folder / "checkpoint"
    model.save_pretrained(checkpoint)
    AutoTokenizer.from_pretrained(str(folder), gguf_file=path.name).save_pretrained(checkpoint)
    return Pair(checkpoint, describe(path, name="tiny", source=str(path)))


def write_gguf(model: LlamaForCausalLM, path: Path, words_of: Path) -> None:
    """Float32, so that whatever differs between torch and the runtime is not rounding."""
    config, reader = model.config, gguf.GGUFReader(words_of)
    writer = gguf.GGUFWriter(path, arch="llama")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("Tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _copy_tokenizer(reader, writer)
    for name, weight in model.state_dict().items():
        if name != "lm_head.weight" or not config.tie_word_embeddings:
            writer.add_tensor(gguf_name(name), _in_their_order(name, weight, config).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    """llama.cpp's name of a Llama weight."""
    outer = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in outer:
        return outer[name]
    _model, _layers, number, *module, kind = name.split(".")
    return f"blk.{number}.{LAYER['.'.join(module)]}.{kind}"


def _in_their_order(name: str, weight: torch.Tensor, config: LlamaConfig) -> torch.Tensor:
    if "q_proj" in name:
        return permute(weight, config.num_attention_heads).contiguous()
    if "k_proj" in name:
        return permute(weight, config.num_key_value_heads).contiguous()
    return weight


def _copy_tokenizer(reader: Any, writer: gguf.GGUFWriter) -> None:
    """The first WORDS tokens and the merges that make them; byte-level merges come in the order of their tokens."""
    tokens = _first(reader.fields["tokenizer.ggml.tokens"], WORDS)
    known, merges = set(tokens), _first(reader.fields["tokenizer.ggml.merges"], WORDS)
    writer.add_token_list(tokens)
    writer.add_token_types(_first(reader.fields["tokenizer.ggml.token_type"], WORDS))
    writer.add_token_merges([merge for merge in merges if merge.replace(" ", "") in known])
    writer.add_chat_template(reader.fields["tokenizer.chat_template"].contents())
    for key in TOKENIZER:
        field = reader.fields[f"tokenizer.ggml.{key}"]
        writer.add_key_value(field.name, field.contents(), field.types[0])


def _first(field: Any, count: int) -> list[Any]:
    return [field.contents(index) for index in range(min(count, len(field.data)))]
