"""``python -m distill export``: writes a molt as an adapter, a GGUF, a checkpoint or an ONNX graph, and proves it."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memory.errors import MoltingError, UsageError
from memory.home import Home

if TYPE_CHECKING:
    from distill.export.formats import Exported

# What ``molt export`` reads from our stderr.
PROGRESS_PREFIX = "progress "


@click.command(epilog="Example: python -m distill export --home ~/claudio --format gguf --quant q4_k_m")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option(
    "--format", "kind", type=click.Choice(["adapter", "gguf", "hf", "onnx"]), required=True, help="What to write."
)
@click.option("--molt", "number", type=click.IntRange(0), help="The molt, 0 is the base; default: the one that speaks.")
@click.option(
    "--quant",
    type=click.Choice(["f16", "q8_0", "q4_k_m"]),
    default="q8_0",
    show_default=True,
    help="Number type of a GGUF.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The file, or for hf and onnx the folder, to write.")
@click.option("--model", default="", help="The base, by name or path; else the embedded one.")
@click.option("--progress", "with_progress", is_flag=True, help="Write lines of progress to stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
def export(
    *,
    home_dir: Path,
    kind: str,
    number: int | None,
    quant: str,
    out: Path | None,
    model: str,
    with_progress: bool,
    as_json: bool,
) -> None:
    """Write one molt for use elsewhere; a file that does not agree with the student that speaks is not left."""
    from distill.export.formats import export as write
    from distill.export.source import find_source

    def report(what: str, share: float) -> None:
        if with_progress:
            click.echo(f"{PROGRESS_PREFIX}{what} {100 * share:.0f} %", err=True)

    try:
        home = Home(home_dir)
        if not home.models_dir.is_dir():
            raise UsageError(f"{home.root} is no home; make one first: molt --home {home.root}")
        # Libraries print what they like; only the result goes to stdout.
        with redirect_stdout(sys.stderr):
            exported = write(find_source(home, number, model), kind, quant, out, report)
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"distill: {error.filename or out or home_dir}: {error.strerror}; nothing was left", err=True)
        sys.exit(1)
    click.echo(
        json.dumps({**exported.to_dict(), "use": use_of(exported)}, ensure_ascii=False, indent=1)
        if as_json
        else text_of(exported)
    )


def text_of(exported: "Exported") -> str:
    """Path, size, digests, how well it agrees, and how to use it."""
    lines = [f"{exported.path}  {exported.bytes / 1e6:,.1f} MB"]
    lines += [f"  sha256 {digest}  {name}" for name, (digest, _size) in exported.files.items()]
    lines += [f"  checked in {name}: {check.text}" for name, check in exported.checks.items()]
    return "\n".join([*lines, "", use_of(exported)])


def use_of(exported: "Exported") -> str:
    """The commands for its use elsewhere."""
    from distill.export.usage import how_to

    cache = None
    if exported.kind == "onnx":
        config = json.loads((exported.path / "config.json").read_text(encoding="utf-8"))
        size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        cache = config["num_hidden_layers"], config["num_key_value_heads"], size
    return how_to(exported.kind, exported.path, exported.base_path, cache)
