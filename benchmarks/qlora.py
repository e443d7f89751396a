"""QLoRA with random weights in the shape of Llama 3 8B: tokens a second and peak memory of the ``qlora-8b`` recipe.

.venv/bin/python benchmarks/qlora.py [--layers 32] [--width 4096] [--steps 8] [--tokens 4096]

Random weights cost what trained ones do, and need no download. Without a CUDA device give a small shape: it then shows
only that the path works.
"""

import argparse
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bitsandbytes
import torch
from common import print_table
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from distill.attention import NAME, register
from distill.config import DistillConfig, load_config
from distill.dataset import Example
from distill.rows import Row
from distill.student import Student, adapt
from distill.trainer import Watch, make_trainer

HEAD_WIDTH, WIDENING, VOCABULARY = 128, 3.5, 128_256  # of Llama 3 8B: 32 heads over 8, 14,336 inner
PREFIX_TOKENS, LABELLED = 256, 0.5
WARM_UP = 2


def random_shape(layers: int, width: int, vocabulary: int) -> LlamaConfig:
    """Llama 3's proportions at another size."""
    heads = max(4, width // HEAD_WIDTH)
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=int(width * WIDENING),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 4,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        attn_implementation=NAME,
    )


def random_four_bit(shape: LlamaConfig, device: torch.device, dtype: torch.dtype) -> Any:
    """The model with every linear layer but the head in nf4, made on the device one layer after the other."""
    register()
    with torch.device("meta"):
        model = LlamaForCausalLM(shape)
    for name, module in list(model.named_modules()):
        if not isinstance(module, torch.nn.Linear) or name == "lm_head":
            continue
        packed = bitsandbytes.nn.Linear4bit(
            module.in_features,
            module.out_features,
            bias=False,
            compute_dtype=dtype,
            compress_statistics=True,
            quant_type="nf4",
            device="meta",
        )
        weight_OI = torch.randn(module.out_features, module.in_features, dtype=dtype, device=device) * 0.02
        packed.weight = bitsandbytes.nn.Params4bit(
            weight_OI, requires_grad=False, quant_type="nf4", compress_statistics=True, module=packed
        ).to(device)
        model.set_submodule(name, packed)
    for name, weight in list(model.named_parameters()):
        if weight.is_meta:
            owner, _, leaf = name.rpartition(".")
            made = torch.ones(weight.shape) if weight.dim() == 1 else torch.randn(weight.shape) * 0.02
            setattr(model.get_submodule(owner), leaf, torch.nn.Parameter(made.to(device, dtype), requires_grad=False))
    model.model.rotary_emb = LlamaRotaryEmbedding(shape).to(device)
    model.is_loaded_in_4bit = True
    return model


def measure(student: Student, config: DistillConfig, steps: int, vocabulary: int) -> tuple[list[float], list[float]]:
    """Seconds and losses of each step; a row is a prefix and one conversation of random tokens, half of them labels."""
    size = config.row_tokens - PREFIX_TOKENS
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, vocabulary, (steps, size), generator=generator).tolist()
    asked = int(size * (1 - LABELLED))
    lessons = [
        Example(f"c{i}", tuple(ids), tuple(n >= asked for n in range(size)), (), "") for i, ids in enumerate(tokens)
    ]
    prefix = list(range(PREFIX_TOKENS))
    seconds: list[float] = []
    losses: list[float] = []
    begun = time.perf_counter()

    def on_step(_step: int, loss: float, _s: float) -> None:
        nonlocal begun
        seconds.append(time.perf_counter() - begun)  # the loss has been read: the device is done
        losses.append(loss)
        begun = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(1e9, on_step, lambda: False)
        rows = [Row(0, (i,), 0) for i in range(steps)]
        make_trainer(student, rows, lessons, (prefix, prefix), config, Path(folder), watch).train()
    return seconds, losses


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--layers", type=int, default=32)
    options.add_argument("--width", type=int, default=4096)
    options.add_argument("--vocabulary", type=int, default=VOCABULARY)
    options.add_argument("--steps", type=int, default=8)
    options.add_argument("--tokens", type=int, default=4096, help="Tokens of a step.")
    chosen = options.parse_args()
    cuda = torch.cuda.is_available()
    device, dtype = torch.device("cuda" if cuda else "cpu"), torch.bfloat16
    recipe = replace(load_config("qlora-8b"), row_tokens=chosen.tokens)
    config = recipe if cuda else replace(recipe, optimizer="adamw")
    shape = random_shape(chosen.layers, chosen.width, chosen.vocabulary)
    student = adapt(random_four_bit(shape, device, dtype), config)
    held = torch.cuda.memory_allocated() if cuda else 0
    seconds, losses = measure(student, config, chosen.steps, chosen.vocabulary)
    speeds = [chosen.tokens / s for s in seconds[min(WARM_UP, len(seconds) - 1) :]]
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    where = torch.cuda.get_device_name() if cuda else "CPU"
    trained = f"{student.trainable_parameters / 1e6:,.1f} M trained"
    weights = f", {held / 2**30:.1f} of it weights" if cuda else ""
    rows = [
        ("weights", f"{chosen.layers} layers of {chosen.width}, {trained}", ""),
        ("speed", f"{statistics.median(speeds):,.0f} tokens/s ({min(speeds):,.0f}-{max(speeds):,.0f})", ""),
        ("memory at its peak", f"{peak / 2**30:.1f} GiB{weights}", ""),
        (
            "loss, first and last step",
            f"{losses[0]:.2f}, {losses[-1]:.2f} nats",
            "log of the vocabulary",
        ),
    ]
    print_table(f"QLoRA, {chosen.steps} steps of {chosen.tokens} tokens, {where}", rows)


if __name__ == "__main__":
    main()
