"""A PEFT adapter as the GGUF file that llama.cpp swaps in; lora_b of q and k is permuted as the base's weights are."""

import json
import os
from pathlib import Path
from typing import Any

import torch

from memory.errors import TrainingError
from memory.files import fsync_folder

# Architectures whose converter interleaves the rotary halves of q and k (convert_hf_to_gguf.py, LlamaModel.permute).
PERMUTED = ("llama", "mistral")

# PEFT's module names -> GGUF tensor names (gguf-py, tensor_mapping.py).
TENSORS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def export_adapter(peft_folder: Path, target: Path, model_config: Any, *, name: str = "") -> int:
    """Write ``peft_folder`` (adapter_config.json, adapter_model.safetensors) as ``target`` in f16; returns its bytes.

    ``model_config`` is the base's transformers config: its kind and heads decide the permutation. The file is written
    aside and renamed. Errors: TrainingError when a tensor has no place in GGUF.
    """
    import gguf
    from safetensors.torch import load_file

    settings = json.loads((peft_folder / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = load_file(peft_folder / "adapter_model.safetensors")
    kind = model_config.model_type
    temporary = target.with_name(f".{target.name}.part")
    writer = gguf.GGUFWriter(temporary, arch=gguf_architecture(kind))
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(settings["lora_alpha"]))
    if name:
        writer.add_name(name)
    for key in sorted(tensors):
        tensor_name, side = gguf_name(key)
        weight = tensors[key].float()
        if side == "b" and kind in PERMUTED and "attn_q" in tensor_name:
            weight = permute(weight, model_config.num_attention_heads)
        if side == "b" and kind in PERMUTED and "attn_k" in tensor_name:
            weight = permute(weight, model_config.num_key_value_heads)
        writer.add_tensor(f"{tensor_name}.weight.lora_{side}", weight.half().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    fsync_folder(target.parent)
    return target.stat().st_size


def gguf_architecture(model_type: str) -> str:
    """llama.cpp's name for a transformers model type."""
    return {"mistral": "llama"}.get(model_type, model_type)


def gguf_name(key: str) -> tuple[str, str]:
    """``blk.N.attn_q`` and ``a`` or ``b`` for a key of PEFT's file. Errors: TrainingError."""
    parts = key.split(".")
    if "layers" in parts and parts[-1] == "weight" and parts[-2] in ("lora_A", "lora_B"):
        at = parts.index("layers")
        module = ".".join(parts[at + 2 : -2])
        if module in TENSORS:
            return f"blk.{parts[at + 1]}.{TENSORS[module]}", parts[-2][-1].lower()
    raise TrainingError(f"{key} has no place in a GGUF adapter; train linear layers of attention and MLP only")


def permute(weight_OI: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows from transformers' order (rotary halves one after the other) to llama.cpp's (interleaved pairs)."""
    rows, columns = weight_OI.shape
    return weight_OI.reshape(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def unpermute(weight_OI: torch.Tensor, heads: int) -> torch.Tensor:
    """The way back from llama.cpp's order of rows to transformers'."""
    rows, columns = weight_OI.shape
    return weight_OI.reshape(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)
