"""How an export is used elsewhere (pure): commands for llama.cpp, Ollama, transformers, onnxruntime and TensorRT."""

import shlex
from pathlib import Path

# He was trained with these words in the system prompt as often as with his whole identity (DistillConfig.short_system).
SYSTEM = "You are Cláudio."
# Lengths for which TensorRT makes its kernels: the shortest, the usual, the longest.
TENSORRT_LENGTHS = ((1, 1, 0), (1, 128, 128), (4, 512, 2048))


def how_to(kind: str, path: Path, base_path: Path, cache: tuple[int, int, int] | None = None) -> str:
    """What to type to use an export of ``kind`` at ``path``; ``cache``: layers, heads and head size of an ONNX one."""
    return {"adapter": _adapter, "gguf": _gguf, "hf": _checkpoint, "onnx": _onnx}[kind](path, base_path, cache)


def _adapter(path: Path, base_path: Path, _cache: object) -> str:
    return (
        f"llama.cpp:\n  llama-server -m {_quoted(base_path)} --lora {_quoted(path)}\n"
        f"Its base is exactly that file: {base_path.name}"
    )


def _gguf(path: Path, _base_path: Path, _cache: object) -> str:
    return (
        f"llama.cpp:\n  llama-server -m {_quoted(path)}\n"
        f"Ollama:\n"
        f"  printf 'FROM %s\\nSYSTEM \"{SYSTEM}\"\\n' {_quoted(path)} > Modelfile\n"
        f"  ollama create claudio -f Modelfile && ollama run claudio\n"
        f"Molting:\n  molt models use {_quoted(path)}"
    )


def _checkpoint(path: Path, _base_path: Path, _cache: object) -> str:
    return (
        "transformers:\n"
        "  from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f"  model = AutoModelForCausalLM.from_pretrained({str(path)!r})\n"
        f"  tokenizer = AutoTokenizer.from_pretrained({str(path)!r})\n"
        f"vLLM:\n  vllm serve {_quoted(path)}\n"
        f"TensorRT-LLM (NVIDIA GPU):\n  trtllm-serve {_quoted(path)}"
    )


def _onnx(path: Path, _base_path: Path, cache: tuple[int, int, int] | None) -> str:
    graph = path / "model.onnx"
    layers, heads, size = cache or (0, 0, 0)
    return (
        "onnxruntime (give all tokens at once with an empty cache, then one at a time with the cache it returns):\n"
        "  import numpy, onnxruntime\n"
        f"  session = onnxruntime.InferenceSession({str(graph)!r})\n"
        f"  empty = numpy.zeros((1, {heads}, 0, {size}), numpy.float32)\n"
        f"  cache = {{f'past_key_values.{{i}}.{{k}}': empty for i in range({layers}) for k in ('key', 'value')}}\n"
        "  ids = numpy.array([tokens], numpy.int64)  # of the tokenizer in the same folder\n"
        "  places = numpy.arange(len(tokens))[None]\n"
        "  inputs = {'input_ids': ids, 'attention_mask': numpy.ones_like(ids), 'position_ids': places, **cache}\n"
        "  logits, *cache_now = session.run(None, inputs)\n"
        f"TensorRT (NVIDIA GPU):\n  {tensorrt_command(graph, layers, heads, size)}"
    )


def tensorrt_command(graph: Path, layers: int, heads: int, size: int) -> str:
    """The trtexec call that builds an engine: every input whose size may vary needs its least, usual and greatest."""
    options = []
    for name, (batch, sequence, past) in zip(("min", "opt", "max"), TENSORRT_LENGTHS, strict=True):
        shapes = [
            f"input_ids:{batch}x{sequence}",
            f"attention_mask:{batch}x{past + sequence}",
            f"position_ids:{batch}x{sequence}",
        ]
        shapes += [
            f"past_key_values.{layer}.{kind}:{batch}x{heads}x{past}x{size}"
            for layer in range(layers)
            for kind in ("key", "value")
        ]
        options.append(f"--{name}Shapes={','.join(shapes)}")
    engine = graph.with_suffix(".engine")
    return " ".join(["trtexec", f"--onnx={_quoted(graph)}", *options, f"--saveEngine={_quoted(engine)}"])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
