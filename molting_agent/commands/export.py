"""``molt export``: the student for use elsewhere, written and proved by a process of its own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memory.errors import HomeError, MoltingError, UsageError
from molting_agent.commands.common import json_option, open_config, say, with_home

if TYPE_CHECKING:
    from memory.home import Home

CHILD_NAME = "distill: "
"""Begins what the child says of an error."""
PROGRESS_PREFIX = "progress "
CLEAR_LINE = "\r\x1b[K"


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
    command = [sys.executable, "-P", "-m", "distill", "export", "--home", str(home.root), "--format", kind]
    command += ["--quant", quant, "--model", open_config(home).model.name]
    command += ["--molt", str(number)] if number is not None else []
    command += ["--out", str(out.expanduser().absolute())] if out else []
    command += ["--json"] if as_json else []
    say(run_child(command, show_progress=sys.stderr.isatty()))


def run_child(command: Sequence[str], *, show_progress: bool) -> str:
    """What the child prints; its lines of progress are shown in place. Errors: the child's, with its exit code."""
    arguments = [*command, "--progress"] if show_progress else list(command)
    with subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None  # noqa: S101 - they were opened as pipes
        assert process.stdout is not None  # noqa: S101
        said: list[str] = []
        for line in process.stderr:
            if line.startswith(PROGRESS_PREFIX):
                click.echo(CLEAR_LINE + line.removeprefix(PROGRESS_PREFIX).strip(), nl=False, err=True)
            elif line.strip():
                said.append(line.strip())
        result = process.stdout.read()
    if show_progress:
        click.echo(CLEAR_LINE, nl=False, err=True)
    if process.returncode:
        raise _error(process.returncode, said)
    return result.rstrip("\n")


def _error(code: int, said: Sequence[str]) -> MoltingError:
    last = next((line for line in reversed(said) if line.startswith(CHILD_NAME)), "")
    message = last.removeprefix(CHILD_NAME) or (
        f"the export failed ({f'signal {-code}' if code < 0 else f'exit code {code}'}"
        f"{': ' + said[-1] if said else ''}); nothing was left; is there enough memory?"
    )
    error = (UsageError if code == UsageError.exit_code else HomeError)(message)
    error.exit_code = code if code > 0 else 1
    return error
