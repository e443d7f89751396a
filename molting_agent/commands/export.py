"""``molt export``: the student for use elsewhere, written and proved by a process of its own."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import json_option, open_config, say, with_home
from molting_agent.commands.school import run_school

if TYPE_CHECKING:
    from memory.home import Home


@click.command(
    epilog="Example: molt export --format gguf --quant q4_k_m --out ~/claudio.gguf. "
    "It prints how to use what it wrote: with llama.cpp, Ollama, transformers, vLLM, onnxruntime or TensorRT."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["adapter", "gguf", "hf", "onnx"]),
    required=True,
    help="adapter: LoRA for llama.cpp; gguf: merged; hf: safetensors and tokenizer; onnx: graph with KV cache.",
)
@click.option("--molt", "number", type=click.IntRange(0), help="The molt, 0 is the base; default: the one that speaks.")
@click.option(
    "--quant",
    type=click.Choice(["f16", "q8_0", "q4_k_m"]),
    default="q8_0",
    show_default=True,
    help="Number type of a GGUF.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write; default: HOME/exports/.")
@json_option
@with_home
def export(home: "Home", *, kind: str, number: int | None, quant: str, out: Path | None, as_json: bool) -> None:
    """Write a molt for use elsewhere, and compare it with the student that speaks before it is left there."""
    arguments = ["export", "--home", str(home.root), "--format", kind]
    arguments += ["--quant", quant, "--model", open_config(home).model.name]
    arguments += ["--molt", str(number)] if number is not None else []
    arguments += ["--out", str(out.expanduser().absolute())] if out else []
    arguments += ["--json"] if as_json else []
    say(run_school(*arguments, *(["--progress"] if sys.stderr.isatty() else [])))
